/* Opens, asks about and closes mappings through a libcryptsetup.so.12, and prints what comes back: mappings LIBRARY, in
 * an empty directory, as root, on a kernel with device-mapper. The mapping `other` is one of another type. */
#include "probe.h"

static struct crypt_device *loaded(void)
{
    struct crypt_params_verity p = {.data_device = "data"};
    struct crypt_device *cd = handle("hash");

    CALL(crypt_load, cd, CRYPT_VERITY, &p);
    return cd;
}

static void active(struct crypt_device *cd, const char *name)
{
    struct crypt_active_device found = {.offset = 7, .iv_offset = 8};

    CALL(crypt_status, cd, name);
    CALL(crypt_get_active_device, cd, name, &found);
    printf("  offset %lu iv %lu size %lu flags %x\n", (unsigned long)found.offset, (unsigned long)found.iv_offset,
           (unsigned long)found.size, found.flags);
}

/* The kernel removes a mapping a moment after it was closed. */
static void gone(const char *name)
{
    for (int tries = 0; tries < 100 && FN(crypt_status)(NULL, name) != CRYPT_INACTIVE; tries++)
        usleep(20000);
    CALL(crypt_status, NULL, name);
}

static void opens(void)
{
    struct crypt_device *cd = loaded(), *other = loaded();

    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, CRYPT_ACTIVATE_READONLY);
    active(cd, "p");
    active(NULL, "p");
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, CRYPT_ACTIVATE_READONLY);
    CALL(crypt_activate_by_volume_key, other, "p", root, 32, 0);
    CALL(crypt_activate_by_volume_key, other, "q", root, 32, CRYPT_ACTIVATE_SHARED);
    CALL(crypt_deactivate, other, "q");
    info(cd);
    FN(crypt_free)(cd);
    FN(crypt_free)(other);
    active(NULL, "p");
    CALL(crypt_deactivate, NULL, "p");
    CALL(crypt_deactivate, NULL, "p");
    active(NULL, "p");
}

static void is_refused(const char *name)
{
    struct crypt_device *cd = loaded();

    CALL(crypt_activate_by_volume_key, cd, name, root, 32, 0);
    CALL(crypt_deactivate, cd, name);
    FN(crypt_free)(cd);
}

static void names(void)
{
    struct crypt_device *cd = NULL;
    static char endless[8192], just_too_long[129];
    struct crypt_active_device found = {0};

    memset(endless, 'n', sizeof(endless) - 1);
    memset(just_too_long, 'n', sizeof(just_too_long) - 1);
    is_refused("a/b");
    is_refused("");
    is_refused("..");
    is_refused(just_too_long);
    CALL(crypt_status, NULL, endless);
    CALL(crypt_status, NULL, "");
    CALL(crypt_status, NULL, "a/b");
    cd = handle("hash");
    CALL(crypt_get_active_device, cd, "nosuch", &found);
    CALL(crypt_get_active_device, cd, "a/b", &found);
    CALL(crypt_get_active_device, cd, NULL, &found);
    FN(crypt_free)(cd);
    CALL(crypt_init_by_name, &cd, "nosuch");
    CALL(crypt_init_by_name, &cd, "/dev/mapper/nosuch");
    CALL(crypt_init_by_name, &cd, NULL);
    CALL(crypt_init_by_name, NULL, "nosuch");
    CALL(crypt_init_by_name_and_header, &cd, "nosuch", "nosuch");
    CALL(crypt_deactivate_by_name, NULL, "nosuch", 0);
    CALL(crypt_deactivate_by_name, NULL, "/dev/mapper/nosuch", 0);
    CALL(crypt_deactivate_by_name, NULL, "nosuch", CRYPT_DEACTIVATE_DEFERRED);
}

static void of_a_mapping(void)
{
    struct crypt_device *cd = loaded();

    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    FN(crypt_free)(cd);
    CALL(crypt_init_by_name, &cd, "p");
    query(cd);
    active(cd, "p");
    CALL(crypt_load, cd, CRYPT_VERITY, NULL);
    FN(crypt_free)(cd);
    CALL(crypt_init_by_name, &cd, "/dev/mapper/p");
    TEXT(crypt_get_type, cd);
    FN(crypt_free)(cd);
    CALL(crypt_init_by_name_and_header, &cd, "p", "nosuch");
    TEXT(crypt_get_type, cd);
    CALL(crypt_deactivate, cd, "p");
    query(cd);
    FN(crypt_free)(cd);
}

static void flags(void)
{
    static const uint32_t FLAGS[] = {
        CRYPT_ACTIVATE_IGNORE_CORRUPTION, CRYPT_ACTIVATE_RESTART_ON_CORRUPTION, CRYPT_ACTIVATE_PANIC_ON_CORRUPTION,
        CRYPT_ACTIVATE_IGNORE_ZERO_BLOCKS, CRYPT_ACTIVATE_CHECK_AT_MOST_ONCE, CRYPT_ACTIVATE_TASKLETS,
        CRYPT_ACTIVATE_IGNORE_ZERO_BLOCKS | CRYPT_ACTIVATE_CHECK_AT_MOST_ONCE, 1 << 1, 1 << 11, 1 << 30,
    };

    for (size_t i = 0; i < sizeof(FLAGS) / sizeof(*FLAGS); i++) {
        struct crypt_device *cd = loaded();

        printf("  with flags %x\n", FLAGS[i]);
        CALL(crypt_activate_by_volume_key, cd, "p", root, 32, FLAGS[i]);
        active(cd, "p");
        CALL(crypt_deactivate, cd, "p");
        FN(crypt_free)(cd);
    }
}

static void held(void)
{
    struct crypt_device *cd = loaded();

    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    int holder = open("/dev/mapper/p", O_RDONLY);
    CALL(crypt_status, cd, "p");
    CALL(crypt_deactivate, cd, "p");
    CALL(crypt_deactivate_by_name, cd, "p", CRYPT_DEACTIVATE_DEFERRED | CRYPT_DEACTIVATE_DEFERRED_CANCEL);
    CALL(crypt_deactivate_by_name, cd, "p", CRYPT_DEACTIVATE_DEFERRED);
    CALL(crypt_status, cd, "p");
    CALL(crypt_deactivate_by_name, cd, "p", CRYPT_DEACTIVATE_DEFERRED_CANCEL);
    close(holder);
    CALL(crypt_status, cd, "p");
    holder = open("/dev/mapper/p", O_RDONLY);
    CALL(crypt_deactivate_by_name, NULL, "/dev/mapper/p", CRYPT_DEACTIVATE_DEFERRED);
    close(holder);
    gone("p");
    FN(crypt_free)(cd);
}

static void wrong_root_hash(void)
{
    struct crypt_device *cd = loaded();

    CALL(crypt_activate_by_volume_key, cd, "p", KEY, 32, 0);
    active(cd, "p");
    CALL(crypt_deactivate, cd, "p");
    CALL(crypt_activate_by_volume_key, cd, "p", root, 31, 0);
    CALL(crypt_activate_by_volume_key, cd, "p", root, 33, 0);
    FN(crypt_free)(cd);
    cd = handle("hash");
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    FN(crypt_free)(cd);
}

static void checks_first(void)
{
    struct crypt_params_verity p = {.data_device = "damaged", .flags = CRYPT_VERITY_CHECK_HASH};
    struct crypt_device *cd = handle("hash");

    CALL(crypt_load, cd, CRYPT_VERITY, &p);
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    CALL(crypt_status, cd, "p");
    CALL(crypt_set_data_device, cd, "data");
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    CALL(crypt_deactivate, cd, "p");
    FN(crypt_free)(cd);
}

static void without_superblock(void)
{
    struct crypt_params_verity p = defaults(CRYPT_VERITY_NO_HEADER | CRYPT_VERITY_CREATE_HASH);
    struct crypt_device *cd = handle("bare");
    size_t size = sizeof(root);

    format(cd, &p);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, root, &size, NULL, 0);
    FN(crypt_free)(cd);
    cd = handle("bare");
    p.flags = CRYPT_VERITY_NO_HEADER;
    format(cd, &p);
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    info(cd);
    FN(crypt_free)(cd);
    CALL(crypt_init_by_name, &cd, "p");
    info(cd);
    CALL(crypt_deactivate, cd, "p");
    FN(crypt_free)(cd);
}

static void with_parity(void)
{
    struct crypt_params_verity p = defaults(CRYPT_VERITY_CREATE_HASH);
    struct crypt_device *cd = handle("hash2");
    size_t size = sizeof(root);

    p.fec_device = "fec";
    p.fec_roots = 2;
    format(cd, &p);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, root, &size, NULL, 0);
    FN(crypt_free)(cd);
    cd = handle("hash2");
    memset(&p, 0, sizeof(p));
    p.data_device = "damaged";
    p.fec_device = "fec";
    p.fec_roots = 2;
    CALL(crypt_load, cd, CRYPT_VERITY, &p);
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    FN(crypt_free)(cd);
    CALL(crypt_init_by_name, &cd, "p");
    query(cd);
    active(cd, "p");
    CALL(crypt_deactivate, cd, "p");
    FN(crypt_free)(cd);
}

static void signatures(void)
{
    struct crypt_params_verity p = {.data_device = "data", .flags = CRYPT_VERITY_ROOT_HASH_SIGNATURE};
    struct crypt_device *cd = handle("hash");

    CALL(crypt_load, cd, CRYPT_VERITY, &p);
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    CALL(crypt_activate_by_signed_key, cd, "p", root, 32, NULL, 0, 0);
    CALL(crypt_activate_by_signed_key, cd, NULL, root, 32, "junk", 4, 0);
    FN(crypt_free)(cd);
    cd = loaded();
    CALL(crypt_activate_by_signed_key, cd, "p", root, 32, NULL, 0, 0);
    CALL(crypt_deactivate, cd, "p");
    FN(crypt_free)(cd);
}

static void unfit_devices(void)
{
    struct crypt_params_verity p = {.data_device = "short"};
    struct crypt_device *cd = handle("hash");

    CALL(crypt_load, cd, CRYPT_VERITY, &p);
    CALL(crypt_load, cd, CRYPT_VERITY, NULL);
    CALL(crypt_set_data_device, cd, "short");
    CALL(crypt_set_data_device, cd, "missing");
    CALL(crypt_status, cd, "p");
    FN(crypt_free)(cd);
}

static void of_another_type(void)
{
    struct crypt_active_device found = {0};
    struct crypt_device *cd = NULL;
    size_t size = sizeof(root);
    char key[64];

    CALL(crypt_status, NULL, "other");
    CALL(crypt_init_by_name, &cd, "other");
    TEXT(crypt_get_type, cd);
    TEXT(crypt_get_uuid, cd);
    TEXT(crypt_get_device_name, cd);
    info(cd);
    CALL(crypt_get_active_device, cd, "other", &found);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, key, &size, NULL, 0);
    FN(crypt_free)(cd);
    cd = loaded();
    CALL(crypt_activate_by_volume_key, cd, "other", root, 32, 0);
    CALL(crypt_get_active_device, cd, "other", &found);
    FN(crypt_free)(cd);
    CALL(crypt_deactivate_by_name, NULL, "other", 0);
}

/* The child opens, the parent closes; then the other way round. */
static void after_fork(void)
{
    struct crypt_device *cd = loaded();
    int status = 0;

    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
        FN(crypt_free)(cd);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    active(cd, "p");
    CALL(crypt_deactivate, cd, "p");
    CALL(crypt_activate_by_volume_key, cd, "p", root, 32, 0);
    fflush(stdout);
    child = fork();
    if (!child) {
        CALL(crypt_deactivate, cd, "p");
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, &status, 0);
    CALL(crypt_status, cd, "p");
    FN(crypt_free)(cd);
}

int main(int argc, char **argv)
{
    static const char *const EMPTY[] = {"hash", "hash2", "bare", "fec"};

    open_library(argc, argv);
    for (size_t i = 0; i < sizeof(EMPTY) / sizeof(*EMPTY); i++)
        file(EMPTY[i], 0);
    file("data", 64 * 4096);
    file("damaged", 64 * 4096);
    file("short", 300);
    overwrite("damaged", 5000, "damage");
    FN(crypt_set_log_callback)(NULL, logged, NULL);
    made();
    in_child("opens", opens);
    in_child("names", names);
    in_child("of_a_mapping", of_a_mapping);
    in_child("flags", flags);
    in_child("held", held);
    in_child("wrong_root_hash", wrong_root_hash);
    in_child("checks_first", checks_first);
    in_child("without_superblock", without_superblock);
    in_child("with_parity", with_parity);
    in_child("signatures", signatures);
    in_child("unfit_devices", unfit_devices);
    in_child("of_another_type", of_another_type);
    in_child("after_fork", after_fork);
    printf("%d calls\n", calls);
    return 0;
}
