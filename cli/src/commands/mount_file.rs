//! `mount-file`: an image as a file, each block of it verified when the kernel asks for it.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use super::service::{self, Counted, Front, Service};
use super::shown;
use super::verified::{CounterFields, VerifiedFields};
use super::web::FetchedFields;
use crate::arguments::{Events, MountFile, Place};
use crate::failure::{Exit, Failure, Result};
use crate::mounting::{Directory, Mount, OneFile, Traffic, Unmounted};
use crate::output;
use crate::report::Report;
use crate::serving::{Child, Woken};

/// What was mounted.
#[derive(Serialize)]
struct MountFields {
    #[serde(flatten)]
    image: VerifiedFields,
    file: String,
    #[serde(flatten)]
    counters: Asked,
    /// That of the command that was run.
    exit_code: Option<u8>,
}

/// What the kernel has asked for, and what reading it took.
#[derive(Clone, Serialize)]
struct Asked {
    opened: u64,
    requests: u64,
    failed_requests: u64,
    bytes_read: u64,
    reader: CounterFields,
    /// For images on web servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<FetchedFields>,
}

/// What is mounted, and what counts.
struct Mounted<'a> {
    mount: Mount,
    traffic: Arc<Traffic>,
    service: &'a Service,
    /// What is odd about its end.
    left: RefCell<Option<String>>,
}

pub(crate) fn run(options: &MountFile) -> Result<Report> {
    let directory = Directory::new(&options.directory, &files(options))?;
    let service = Service::open(&options.service, cannot_start)?;
    let front = Mounted::new(directory, options, &service)?;
    let file = front.mount.directory().file();
    let mut child = match options.command.as_slice() {
        [] => {
            say(options, &format!("{} is mounted.\n", shown(&file)))?;
            None
        }
        words => Some(Child::run(words, &[("image", file.as_os_str())])?),
    };
    let exit_code = service::run(&front, child.as_mut())?;
    drop(child);
    let counters = front.counted();
    let (image, file) = (service.fields.clone(), shown(&file));
    let fields = MountFields { image, file, counters: counters.clone(), exit_code };
    let warnings = front.left.take().into_iter().collect();
    service.ended("mount-file", &counters, Report { warnings, exit_code, ..Report::new("", fields) })
}

/// The files of the image that the options name.
fn files(options: &MountFile) -> Vec<&Path> {
    let devices = match &options.service.image.place {
        Place::Devices { data, hash } => [Some(data), Some(hash)],
        Place::One(path) => [Some(path), None],
    };
    let fec = options.service.image.options.fec.device.as_ref();
    devices.into_iter().chain([fec]).flatten().map(AsRef::as_ref).collect()
}

/// Tells scripts that wait for the mount.
fn say(options: &MountFile, line: &str) -> Result<()> {
    if options.service.json || options.service.reader.events == Some(Events::Stdout) {
        output::print_error(line);
        return Ok(());
    }
    output::print(line)
}

impl<'a> Mounted<'a> {
    fn new(directory: Directory, options: &MountFile, service: &'a Service) -> Result<Self> {
        let (reader, wake) = (Arc::clone(&service.reader), Arc::clone(&service.wake));
        let block_size = service.params.data_block_size();
        let system = OneFile::new(reader, block_size, options.direct_io, Arc::clone(&wake))
            .map_err(|error| cannot_start(&error))?;
        let traffic = system.traffic();
        let name = match &options.service.image.place {
            Place::Devices { data, .. } => data,
            Place::One(path) => path,
        };
        let mount = Mount::new(directory, name, options.allow_other, system, wake)?;
        Ok(Self { mount, traffic, service, left: RefCell::default() })
    }

    fn counted(&self) -> Asked {
        let [opened, requests, failed_requests, bytes_read] = self.traffic.now();
        let Service { reader, source, .. } = self.service;
        let (reader, http) = (reader.counters().into(), source.fetched());
        Asked { opened, requests, failed_requests, bytes_read, reader, http }
    }
}

impl Front for Mounted<'_> {
    fn wait(&self) -> Result<Woken> {
        match poll(&mut [PollFd::new(self.service.wake.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(self.service.wake.take()),
            Err(errno) => Err(cannot_start(&errno.into())),
        }
    }

    fn counters(&self) -> String {
        self.service.shown(&self.counted())
    }

    fn finish(&self) {
        let directory = shown(self.mount.directory().path());
        let left = match self.mount.unmount() {
            Ok(Unmounted::Gone) => return,
            Ok(Unmounted::Detached) => format!("{directory} was in use: programs that still read the file get errors."),
            Err(error) => format!("{directory} cannot be unmounted: {error}."),
        };
        self.left.replace(Some(left));
    }
}

impl Counted for Asked {
    fn line(&self) -> String {
        let Self { opened, requests, failed_requests, bytes_read, reader, http } = self;
        let http = http.map_or_else(String::new, |http| format!(" {}", http.line()));
        format!(
            "opened={opened} requests={requests} failed_requests={failed_requests} bytes_read={bytes_read} \
             {reader}{http}"
        )
    }
}

fn cannot_start(error: &io::Error) -> Failure {
    Failure::new(Exit::Device, "Cannot mount.").because(error)
}
