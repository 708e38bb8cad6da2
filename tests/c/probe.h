/* What the probes share: they load a libcryptsetup.so.12, call it, and print what comes back. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dmverity/cryptsetup-verity.h"

static void *library;
static int calls;

/* `-` is the library that is linked into this program. */
static void open_library(int argc, char **argv)
{
    if (argc != 2 || !(library = dlopen(strcmp(argv[1], "-") ? argv[1] : NULL, RTLD_NOW | RTLD_LOCAL))) {
        fprintf(stderr, "%s: %s\n", argv[0], argc == 2 ? dlerror() : "which library?");
        exit(2);
    }
}

static void *symbol(const char *name)
{
    void *found = dlsym(library, name);

    if (!found) {
        printf("  no %s\n", name);
        fflush(stdout);
        _exit(0);
    }
    return found;
}

#define FN(name) ((__typeof__(&name))symbol(#name))

/* Texts with their unprintable characters as numbers. */
static void show(const char *text)
{
    if (!text) {
        printf("NULL");
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '\n')
            printf("\\n");
        else if (*text == '\t')
            printf("\\t");
        else
            putchar(*text);
    }
    putchar('"');
}

static void logged(int level, const char *message, void *user)
{
    printf("  %s %d ", user ? (const char *)user : "log", level);
    show(message);
    putchar('\n');
}

static void result(const char *what, long number)
{
    calls++;
    printf("  %s = %ld", what, number);
    if (number < 0 && number > -200)
        printf(" %s", strerrorname_np((int)-number));
    putchar('\n');
}

static void text(const char *what, const char *found)
{
    calls++;
    printf("  %s = ", what);
    show(found);
    putchar('\n');
}

#define CALL(name, ...) result(#name "(" #__VA_ARGS__ ")", (long)FN(name)(__VA_ARGS__))
#define TEXT(name, ...) text(#name "(" #__VA_ARGS__ ")", FN(name)(__VA_ARGS__))

static const char KEY[32] = "not the root hash of anything...";
static char root[64];

static struct crypt_params_verity defaults(uint32_t flags)
{
    struct crypt_params_verity params = {
        .hash_name = "sha256", .data_device = "data", .salt = "salt", .salt_size = 4, .hash_type = 1,
        .data_block_size = 4096, .hash_block_size = 4096, .flags = flags,
    };
    return params;
}

static const char UUID[] = "3bc1c38a-4d33-404f-b0e2-9644e20ffa71";

static struct crypt_device *handle(const char *device)
{
    struct crypt_device *cd = NULL;

    CALL(crypt_init, &cd, device);
    return cd;
}

static int format(struct crypt_device *cd, struct crypt_params_verity *params)
{
    int r = FN(crypt_format)(cd, CRYPT_VERITY, NULL, NULL, UUID, NULL, 0, params);

    result("format", r);
    return r;
}

/* A file of so many bytes, painted. */
static void file(const char *name, long bytes)
{
    FILE *f = fopen(name, "w");

    for (long i = 0; i < bytes; i++)
        putc((int)(i % 251), f);
    fclose(f);
}

static void overwrite(const char *name, long offset, const char *with)
{
    FILE *f = fopen(name, "r+");

    fseek(f, offset, SEEK_SET);
    fputs(with, f);
    fclose(f);
}

static void info(struct crypt_device *cd)
{
    struct crypt_params_verity p;

    memset(&p, 0, sizeof(p));
    CALL(crypt_get_verity_info, cd, &p);
    text("hash_name", p.hash_name);
    text("data_device", p.data_device);
    text("hash_device", p.hash_device);
    text("fec_device", p.fec_device);
    result("salt_size", p.salt_size);
    printf("  salt %.*s\n", p.salt ? (int)p.salt_size : 0, p.salt ? p.salt : "");
    printf("  type %u blocks %u %u size %lu offsets %lu %lu roots %u flags %u\n", p.hash_type, p.data_block_size,
           p.hash_block_size, (unsigned long)p.data_size, (unsigned long)p.hash_area_offset,
           (unsigned long)p.fec_area_offset, p.fec_roots, p.flags);
}

static void query(struct crypt_device *cd)
{
    char key[64];
    size_t size = sizeof(key), small = 3, none = 0;

    TEXT(crypt_get_type, cd);
    TEXT(crypt_get_uuid, cd);
    TEXT(crypt_get_device_name, cd);
    TEXT(crypt_get_metadata_device_name, cd);
    CALL(crypt_get_volume_key_size, cd);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, key, &size, NULL, 0);
    result("size", (long)size);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, key, &small, NULL, 0);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, key, &none, NULL, 0);
    CALL(crypt_volume_key_get, cd, 3, key, &size, "x", 1);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, NULL, &size, NULL, 0);
    info(cd);
    CALL(crypt_dump, cd);
}

static void made(void)
{
    struct crypt_device *cd = handle("hash");
    struct crypt_params_verity p = defaults(CRYPT_VERITY_CREATE_HASH);
    size_t size = sizeof(root);

    format(cd, &p);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, root, &size, NULL, 0);
    FN(crypt_free)(cd);
}

static void in_child(const char *name, void (*group)(void))
{
    int status = 0, counter[2];

    printf("%s\n", name);
    fflush(stdout);
    if (pipe(counter))
        exit(2);
    pid_t child = fork();
    if (!child) {
        FN(crypt_set_log_callback)(NULL, logged, NULL);
        group();
        fflush(stdout);
        if (write(counter[1], &calls, sizeof(calls)) < 0)
            _exit(2);
        _exit(0);
    }
    close(counter[1]);
    waitpid(child, &status, 0);
    int made_calls = 0;
    if (read(counter[0], &made_calls, sizeof(made_calls)) > 0)
        calls = made_calls;
    close(counter[0]);
    if (WIFSIGNALED(status))
        printf("  signal %d\n", WTERMSIG(status));
}
