/* 8 threads, each with handles of its own, format and verify at once, and with the argument `mappings` also open and
 * close; no thread and no descriptor stays after a call. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dmverity/cryptsetup-verity.h"

#define THREADS 8
#define ROUNDS 4
/* The number of the thread that has the process for itself. */
#define ALONE THREADS

static int with_mappings;

static int entries(const char *folder)
{
    DIR *open = opendir(folder);
    int found = 0;

    while (open && readdir(open))
        found++;
    if (open)
        closedir(open);
    return found;
}

/* The kernel lists a thread for a moment after it has ended, even after it was waited for. */
static int threads(void)
{
    int found = 0;

    for (int tries = 0; tries < 5000; tries++) {
        found = entries("/proc/self/task") - 2;
        if (found == 1)
            break;
        usleep(1000);
    }
    return found;
}

#define CHECK(what)                                          \
    do {                                                     \
        if (!(what)) {                                       \
            fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
            exit(1);                                         \
        }                                                    \
    } while (0)

static void heard(int level, const char *message, void *user)
{
    (void)level, (void)message;
    /* On the thread that made the call. */
    CHECK(pthread_equal(*(pthread_t *)user, pthread_self()));
}

static void *work(void *argument)
{
    char data[32], hash[32], name[32], root[64];
    pthread_t own = pthread_self();
    int number = *(int *)argument, alone = number == ALONE;

    snprintf(data, sizeof(data), "data%d", number);
    snprintf(hash, sizeof(hash), "hash%d", number);
    for (int round = 0; round < ROUNDS; round++) {
        struct crypt_device *cd = NULL;
        struct crypt_params_verity params = {
            .hash_name = "sha256", .data_device = data, .salt = "salt", .salt_size = 4, .hash_type = 1,
            .data_block_size = 4096, .hash_block_size = 4096, .flags = CRYPT_VERITY_CREATE_HASH,
        };
        size_t size = sizeof(root);

        CHECK(!crypt_init(&cd, hash));
        crypt_set_log_callback(cd, heard, &own);
        CHECK(!crypt_format(cd, CRYPT_VERITY, NULL, NULL, NULL, NULL, 0, &params));
        CHECK(!alone || threads() == 1);
        CHECK(!crypt_volume_key_get(cd, CRYPT_ANY_SLOT, root, &size, NULL, 0) && size == 32);
        crypt_free(cd);
        params.flags = CRYPT_VERITY_CHECK_HASH;
        params.hash_area_offset = 0;
        CHECK(!crypt_init_data_device(&cd, hash, data));
        crypt_set_log_callback(cd, heard, &own);
        CHECK(!crypt_load(cd, CRYPT_VERITY, &params));
        CHECK(!crypt_activate_by_volume_key(cd, NULL, root, size, 0));
        CHECK(!alone || threads() == 1);
        if (with_mappings) {
            snprintf(name, sizeof(name), "thread%d", number);
            CHECK(!crypt_activate_by_volume_key(cd, name, root, size, CRYPT_ACTIVATE_READONLY));
            CHECK(crypt_status(cd, name) == CRYPT_ACTIVE);
            CHECK(!crypt_deactivate(cd, name));
            CHECK(crypt_status(cd, name) == CRYPT_INACTIVE);
            CHECK(!alone || threads() == 1);
        }
        root[7] ^= 1;
        CHECK(crypt_activate_by_volume_key(cd, NULL, root, size, 0) < 0);
        CHECK(!alone || threads() == 1);
        CHECK(!crypt_dump(cd));
        crypt_free(cd);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t made[THREADS];
    int numbers[THREADS + 1], before;

    with_mappings = argc > 1 && !strcmp(argv[1], "mappings");

    for (int i = 0; i <= THREADS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "data%d", i);
        FILE *data = fopen(name, "w");
        for (int byte = 0; byte < 4 << 20; byte++)
            putc((byte * 7 + i) % 251, data);
        fclose(data);
        snprintf(name, sizeof(name), "hash%d", i);
        fclose(fopen(name, "w"));
        numbers[i] = i;
    }
    before = entries("/proc/self/fd");
    work(&numbers[ALONE]);
    CHECK(entries("/proc/self/fd") == before);
    for (int i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&made[i], NULL, work, &numbers[i]));
    for (int i = 0; i < THREADS; i++)
        pthread_join(made[i], NULL);
    CHECK(entries("/proc/self/fd") == before);
    return 0;
}
