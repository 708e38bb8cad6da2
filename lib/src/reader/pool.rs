//! Threads that verify what the caller's thread does not verify alone.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::work::start_thread;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that run jobs in the order in which they come. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts up to this many threads. They hold back all signals, so that a program's handlers run elsewhere.
    pub(super) fn new(threads: usize) -> Self {
        let (jobs, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |_| {
            let receiver = Arc::clone(&receiver);
            start_thread("verify", |builder| builder.spawn(move || run(&receiver)))
        };
        Self { jobs: Some(jobs), threads: (0..threads).map_while(start).collect() }
    }

    /// How many there are: none, if the system gives none.
    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let jobs = self.jobs.as_ref().expect("it is there until it is dropped");
        // It fails if all threads have panicked; who waits for the job is told by what the job holds.
        _ = jobs.send(Box::new(job));
    }
}

fn run(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A job that has panicked has told its caller.
            _ = thread.join();
        }
    }
}
