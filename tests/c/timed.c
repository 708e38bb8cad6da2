/* A libcryptsetup.so.12 that passes each call on to the library that REAL_LIBRARY names, and prints how many seconds
 * crypt_format took. `names.h` has the other names. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NAME(name) #name,
static const char *const NAMES[] = {
#include "names.h"
};
#undef NAME

__attribute__((visibility("hidden"))) void *passed_on[sizeof(NAMES) / sizeof(*NAMES)];
static int (*format)(void *, const char *, const char *, const char *, const char *, const char *, size_t, void *);

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
/* Whatever the arguments are: a jump. */
#define NAME(name)                                                                                          \
    __asm__(".globl " #name "\n.type " #name ",@function\n" #name ": jmp *passed_on+8*" TEXT(__COUNTER__) "(%rip)\n");
#include "names.h"

__attribute__((constructor)) static void load(void)
{
    const char *path = getenv("REAL_LIBRARY");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

    if (!library) {
        fprintf(stderr, "timed: %s\n", path ? dlerror() : "which library?");
        abort();
    }
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(*NAMES); i++)
        passed_on[i] = dlsym(library, NAMES[i]);
    *(void **)&format = dlsym(library, "crypt_format");
}

int crypt_format(void *cd, const char *type, const char *cipher, const char *mode, const char *uuid, const char *key,
                 size_t key_size, void *params)
{
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    int r = format(cd, type, cipher, mode, uuid, key, key_size, params);
    clock_gettime(CLOCK_MONOTONIC, &end);
    fprintf(stderr, "crypt_format: %f\n",
            (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return r;
}
