/* How long a program waits for a libcryptsetup.so.12 that it looks for when it needs it, from dlopen to the end of the
 * first call: startup LIBRARY prints the median in microseconds. Each time is another process's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 201

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double once(const char *path)
{
    double begin = now();
    void *library = dlopen(path, RTLD_LAZY | RTLD_LOCAL), *cd = NULL;
    int (*init)(void **, const char *) = library ? (int (*)(void **, const char *))dlsym(library, "crypt_init") : NULL;

    if (!init || init(&cd, "/proc/self/exe"))
        _exit(2);
    return now() - begin;
}

static int compare(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(int argc, char **argv)
{
    double times[RUNS];

    for (int i = 0; i < RUNS; i++) {
        int ends[2], status;

        if (argc != 2 || pipe(ends))
            return 2;
        if (!fork()) {
            double time = once(argv[1]);
            _exit(write(ends[1], &time, sizeof(time)) != sizeof(time));
        }
        if (wait(&status) < 0 || status || read(ends[0], &times[i], sizeof(times[i])) != sizeof(times[i]))
            return 1;
        close(ends[0]);
        close(ends[1]);
    }
    qsort(times, RUNS, sizeof(*times), compare);
    printf("%.0f\n", times[RUNS / 2]);
    return 0;
}
