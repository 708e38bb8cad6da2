/* Calls a libcryptsetup.so.12 in every way that concerns verity and in many that are wrong, and prints what comes back.
 * Two libraries are compared by what this prints of each: probe LIBRARY, in an empty directory.
 *
 * Each group of calls runs in a child, so that a library that dies of one is heard of: `signal N`. */
#include "probe.h"

static void length(const char *name)
{
    struct stat found;

    if (stat(name, &found))
        printf("  no file %s\n", name);
    else
        printf("  %s has %ld bytes\n", name, (long)found.st_size);
}

/* The sum of a file's bytes, each times its place: enough to tell two files apart. */
static void sum(const char *name)
{
    unsigned long total = 0, place = 1;
    FILE *f = fopen(name, "r");
    int byte;

    while (f && (byte = getc(f)) != EOF)
        total = total * 31 + (unsigned long)byte * place++;
    if (f)
        fclose(f);
    length(name);
    printf("  sum of %s is %lu\n", name, total);
}

/* Handles */
static void inits(void)
{
    struct crypt_device *cd = NULL;

    CALL(crypt_init, NULL, "data");
    CALL(crypt_init, &cd, "missing");
    CALL(crypt_init, &cd, "");
    CALL(crypt_init, &cd, ".");
    CALL(crypt_init, &cd, "/dev/null");
    CALL(crypt_init, &cd, NULL);
    query(cd);
    FN(crypt_free)(cd);
    CALL(crypt_init, &cd, "data");
    TEXT(crypt_get_device_name, cd);
    TEXT(crypt_get_type, cd);
    FN(crypt_free)(cd);
    CALL(crypt_init, &cd, "empty");
    FN(crypt_free)(cd);
    FN(crypt_free)(NULL);
}

static void init_data(void)
{
    struct crypt_device *cd = NULL;

    CALL(crypt_init_data_device, NULL, "hash", "data");
    CALL(crypt_init_data_device, &cd, "missing", "data");
    CALL(crypt_init_data_device, &cd, "hash", "missing");
    CALL(crypt_init_data_device, &cd, "hash", NULL);
    TEXT(crypt_get_device_name, cd);
    TEXT(crypt_get_metadata_device_name, cd);
    FN(crypt_free)(cd);
    CALL(crypt_init_data_device, &cd, "hash", "data");
    TEXT(crypt_get_device_name, cd);
    TEXT(crypt_get_metadata_device_name, cd);
    CALL(crypt_set_data_device, cd, "data");
    FN(crypt_free)(cd);
    CALL(crypt_init_data_device, &cd, "data", "data");
    TEXT(crypt_get_device_name, cd);
    TEXT(crypt_get_metadata_device_name, cd);
    FN(crypt_free)(cd);
}

static void init_data_without_hash(void)
{
    struct crypt_device *cd = NULL;

    CALL(crypt_init_data_device, &cd, NULL, "data");
}

static void no_handle(void)
{
    struct crypt_params_verity p = defaults(0);
    struct crypt_active_device active;
    size_t size = 3;

    CALL(crypt_load, NULL, CRYPT_VERITY, NULL);
    CALL(crypt_format, NULL, CRYPT_VERITY, NULL, NULL, UUID, NULL, 0, &p);
    CALL(crypt_set_data_device, NULL, "data");
    CALL(crypt_activate_by_volume_key, NULL, NULL, KEY, 32, 0);
    CALL(crypt_activate_by_signed_key, NULL, NULL, KEY, 32, NULL, 0, 0);
    CALL(crypt_get_active_device, NULL, "nosuch", &active);
    CALL(crypt_get_verity_info, NULL, &p);
    CALL(crypt_get_volume_key_size, NULL);
    CALL(crypt_volume_key_get, NULL, -1, root, &size, NULL, 0);
    CALL(crypt_deactivate, NULL, NULL);
    CALL(crypt_deactivate_by_name, NULL, NULL, 0);
    CALL(crypt_deactivate_by_name, NULL, "nosuch", 5);
    CALL(crypt_status, NULL, NULL);
    TEXT(crypt_get_type, NULL);
    TEXT(crypt_get_uuid, NULL);
    TEXT(crypt_get_device_name, NULL);
    TEXT(crypt_get_metadata_device_name, NULL);
    TEXT(crypt_get_dir);
    CALL(crypt_dump, NULL);
}

/* Formats */
static void formats(void)
{
    struct crypt_params_verity p = defaults(CRYPT_VERITY_CREATE_HASH);
    struct crypt_device *cd = handle("new");

    CALL(crypt_get_volume_key_size, cd);
    format(cd, &p);
    sum("new");
    query(cd);
    format(cd, &p);
    CALL(crypt_load, cd, CRYPT_VERITY, NULL);
    query(cd);
    FN(crypt_free)(cd);
}

#define FORMAT_WITH(device, flags, change)                \
    do {                                                  \
        struct crypt_params_verity p = defaults(flags);   \
        struct crypt_device *cd = handle(device);         \
        printf("  with %s\n", #change);                   \
        change;                                           \
        format(cd, &p);                                   \
        FN(crypt_free)(cd);                               \
    } while (0)

static void format_refusals(void)
{
    FORMAT_WITH("hash", 4, p.data_device = NULL);
    FORMAT_WITH("hash", 4, p.data_device = "missing");
    FORMAT_WITH("hash", 4, p.hash_name = NULL);
    FORMAT_WITH("hash", 4, p.hash_name = "nosuchhash");
    FORMAT_WITH("hash", 4, p.hash_type = 2);
    FORMAT_WITH("hash", 4, p.data_block_size = 1000);
    FORMAT_WITH("hash", 4, p.data_block_size = 0);
    FORMAT_WITH("hash", 4, p.hash_block_size = 256);
    FORMAT_WITH("hash", 4, p.hash_block_size = 1048576);
    FORMAT_WITH("hash", 4, p.hash_area_offset = 100);
    FORMAT_WITH("hash", 4, p.salt_size = 257);
    FORMAT_WITH("hash", 4, p.data_size = UINT64_MAX);
    FORMAT_WITH("hash", 4, p.data_device = "hash");
    FORMAT_WITH("hash", 4, (p.fec_device = "missing", p.fec_roots = 2));
    FORMAT_WITH("hash", 4, (p.fec_device = "fec", p.fec_roots = 1));
    FORMAT_WITH("hash", 4, (p.fec_device = "fec", p.fec_roots = 25));
    FORMAT_WITH("hash", 4, (p.fec_device = "fec", p.fec_roots = 2, p.fec_area_offset = 100));
    FORMAT_WITH("hash", 4, (p.fec_device = "fec", p.fec_roots = 2, p.hash_block_size = 1024));
    FORMAT_WITH(NULL, 4, (void)0);
}

static void format_types(void)
{
    struct crypt_params_verity p = defaults(4);
    struct crypt_device *cd = handle("hash");

    CALL(crypt_format, cd, NULL, NULL, NULL, UUID, NULL, 0, &p);
    CALL(crypt_format, cd, "verity", NULL, NULL, UUID, NULL, 0, &p);
    CALL(crypt_format, cd, "NOSUCH", NULL, NULL, UUID, NULL, 0, &p);
    CALL(crypt_format, cd, CRYPT_VERITY, NULL, NULL, "no uuid", NULL, 0, &p);
    TEXT(crypt_get_type, cd);
    CALL(crypt_format, cd, CRYPT_VERITY, NULL, NULL, UUID, NULL, 0, NULL);
    FN(crypt_free)(cd);
}

static void format_ways(void)
{
    FORMAT_WITH("new2", 0, (void)0);
    sum("new2");
    FORMAT_WITH("new3", 1, (void)0);
    length("new3");
    FORMAT_WITH("new4", 5, (void)0);
    sum("new4");
    FORMAT_WITH("new5", 4, (p.salt = NULL, p.salt_size = 0));
    sum("new5");
    FORMAT_WITH("new6", 4, (p.hash_area_offset = 8192, p.data_size = 7));
    sum("new6");
    FORMAT_WITH("new7", 4, (p.hash_type = 0, p.data_block_size = 512, p.hash_block_size = 512, p.hash_name = "sha512"));
    sum("new7");
    FORMAT_WITH("new8", 4, (p.fec_device = "newfec", p.fec_roots = 3));
    sum("new8");
    sum("newfec");
    FORMAT_WITH("new9", 4, (p.salt = NULL, p.salt_size = 40));
    length("new9");
    FORMAT_WITH("new9", 0x80000004, (void)0);
    FORMAT_WITH("new0", 0, p.hash_area_offset = 512);
    length("new0");
    FORMAT_WITH("new0", 0, p.hash_area_offset = 4096);
    length("new0");
    FORMAT_WITH("newa", 0, (p.data_block_size = 512, p.hash_block_size = 512));
    length("newa");
}

static void format_info(void)
{
    struct crypt_params_verity p = defaults(CRYPT_VERITY_NO_HEADER);
    struct crypt_device *cd = handle("new3");

    format(cd, &p);
    /* The root hash that nothing has computed: what is in the dump then is not the same twice. */
    size_t size = sizeof(root);
    TEXT(crypt_get_uuid, cd);
    TEXT(crypt_get_metadata_device_name, cd);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, root, &size, NULL, 0);
    info(cd);
    FN(crypt_free)(cd);
    cd = handle("new8");
    p = defaults(CRYPT_VERITY_CREATE_HASH);
    p.fec_device = "newfec";
    p.fec_roots = 3;
    format(cd, &p);
    query(cd);
    FN(crypt_free)(cd);
    cd = handle("newb");
    p = defaults(CRYPT_VERITY_CREATE_HASH | CRYPT_VERITY_ROOT_HASH_SIGNATURE);
    p.hash_area_offset = 4096;
    format(cd, &p);
    query(cd);
    CALL(crypt_activate_by_volume_key, cd, NULL, KEY, 32, 0);
    FN(crypt_free)(cd);
}

/* Loads */
static void loads(void)
{
    struct crypt_device *cd;

    made();
    cd = handle("hash");
    CALL(crypt_set_data_device, cd, "data");
    CALL(crypt_load, cd, NULL, NULL);
    CALL(crypt_load, cd, "verity", NULL);
    CALL(crypt_load, cd, "NOSUCH", NULL);
    TEXT(crypt_get_type, cd);
    CALL(crypt_load, cd, CRYPT_VERITY, NULL);
    query(cd);
    CALL(crypt_set_data_device, cd, NULL);
    CALL(crypt_set_data_device, cd, "missing");
    CALL(crypt_set_data_device, cd, "data");
    query(cd);
    CALL(crypt_load, cd, CRYPT_VERITY, NULL);
    FN(crypt_free)(cd);
}

#define LOAD_WITH(device, change)                             \
    do {                                                      \
        struct crypt_params_verity p;                         \
        struct crypt_device *cd = handle(device);             \
        memset(&p, 0, sizeof(p));                             \
        printf("  with %s\n", #change);                       \
        change;                                               \
        CALL(crypt_load, cd, CRYPT_VERITY, &p);               \
        info(cd);                                             \
        FN(crypt_free)(cd);                                   \
    } while (0)

static void load_ways(void)
{
    made();
    LOAD_WITH("hash", (void)0);
    LOAD_WITH("data", (void)0);
    LOAD_WITH("empty", (void)0);
    LOAD_WITH("short", (void)0);
    LOAD_WITH(NULL, (void)0);
    LOAD_WITH("hash", p.flags = 1);
    LOAD_WITH("hash", p.flags = 2);
    LOAD_WITH("hash", p.flags = 8);
    LOAD_WITH("hash", p.flags = 0x40);
    LOAD_WITH("hash", p.hash_area_offset = 100);
    LOAD_WITH("hash", p.hash_area_offset = 4096);
    LOAD_WITH("hash", p.hash_area_offset = 1 << 30);
    LOAD_WITH("hash", p.data_device = "data");
    LOAD_WITH("hash", p.data_device = "missing");
    LOAD_WITH("hash", p.fec_device = "missing");
    LOAD_WITH("hash", (p.fec_device = "fec", p.fec_roots = 2));
    LOAD_WITH("hash", (p.fec_device = "fec", p.fec_roots = 0));
    LOAD_WITH("hash", (p.fec_device = "fec", p.fec_roots = 99));
    LOAD_WITH("hash", (p.fec_device = "fec", p.fec_roots = 2, p.fec_area_offset = 100));
    LOAD_WITH("hash", p.fec_roots = 2);
    LOAD_WITH("hash", (p.hash_name = "sha512", p.data_size = 3));
    LOAD_WITH("badversion", (void)0);
    LOAD_WITH("badhash", (void)0);
    LOAD_WITH("badblock", (void)0);
}

/* Checks in userspace */
static void check(const char *data, const char *fec, uint32_t flags, const char *key, size_t size)
{
    struct crypt_params_verity p;
    struct crypt_device *cd = handle("hash");

    memset(&p, 0, sizeof(p));
    p.data_device = data;
    p.fec_device = fec;
    p.fec_roots = 2;
    p.flags = flags;
    CALL(crypt_load, cd, CRYPT_VERITY, &p);
    CALL(crypt_activate_by_volume_key, cd, NULL, key, size, 0);
    FN(crypt_free)(cd);
}

static void checks(void)
{
    struct crypt_params_verity p = defaults(CRYPT_VERITY_CREATE_HASH);
    struct crypt_device *cd = handle("hash");
    size_t size = sizeof(root);

    p.fec_device = "fec";
    p.fec_roots = 2;
    format(cd, &p);
    CALL(crypt_volume_key_get, cd, CRYPT_ANY_SLOT, root, &size, NULL, 0);
    FN(crypt_free)(cd);
    check("data", NULL, 2, root, 32);
    check("data", NULL, 0, root, 32);
    check("data", NULL, 0, KEY, 32);
    check("data", NULL, 2, KEY, 32);
    check("data", NULL, 2, root, 31);
    check("data", NULL, 2, root, 0);
    check("damaged", NULL, 2, root, 32);
    check("damaged", "fec", 2, root, 32);
    check("data", "fec", 2, root, 32);
    check("data", "fec", 2, KEY, 32);
    check("short", NULL, 2, root, 32);
    check("empty", NULL, 2, root, 32);
}

static void check_without_key(void)
{
    made();
    check("data", NULL, 2, NULL, 0);
}

static void activations(void)
{
    struct crypt_device *cd;

    made();
    cd = handle("hash");
    CALL(crypt_activate_by_volume_key, cd, NULL, root, 32, 0);
    CALL(crypt_activate_by_volume_key, cd, "x", root, 32, 0);
    CALL(crypt_load, cd, CRYPT_VERITY, NULL);
    CALL(crypt_set_data_device, cd, "data");
    CALL(crypt_activate_by_signed_key, cd, NULL, root, 32, "sig", 3, 0);
    CALL(crypt_activate_by_signed_key, cd, NULL, root, 32, "sig", 0, 0);
    CALL(crypt_activate_by_signed_key, cd, NULL, root, 32, NULL, 0, 0);
    CALL(crypt_activate_by_volume_key, cd, NULL, root, 32, 1 << 11);
    CALL(crypt_activate_by_volume_key, cd, NULL, root, 32, 1 << 16);
    CALL(crypt_activate_by_volume_key, cd, NULL, root, 32, 0x40000000);
    FN(crypt_free)(cd);
}

/* Messages */
static void logs(void)
{
    struct crypt_device *cd = handle("data");

    FN(crypt_log)(cd, 0, "plain");
    FN(crypt_log)(cd, 0, "with end\n");
    FN(crypt_log)(cd, 1, "error");
    FN(crypt_log)(cd, 2, "verbose");
    FN(crypt_log)(cd, -1, "debug");
    FN(crypt_log)(cd, -2, "json");
    FN(crypt_log)(cd, 3, "three");
    FN(crypt_log)(cd, -3, "minus three");
    FN(crypt_log)(cd, 0, NULL);
    FN(crypt_log)(NULL, 0, "global\n");
    FN(crypt_logf)(cd, 0, "%s %d", "formatted", 7);
    FN(crypt_logf)(cd, 1, "%s\n", "end");
    FN(crypt_logf)(NULL, 1, "%s", "global");
    FN(crypt_set_log_callback)(cd, logged, "own");
    FN(crypt_log)(cd, 0, "own\n");
    FN(crypt_logf)(cd, 0, "own %d\n", 3);
    FN(crypt_log)(NULL, 0, "global\n");
    FN(crypt_set_log_callback)(cd, NULL, NULL);
    FN(crypt_log)(cd, 0, "global again\n");
    FN(crypt_free)(cd);
    calls += 15;
}

static void logs_to_streams(void)
{
    FN(crypt_set_log_callback)(NULL, NULL, NULL);
    FN(crypt_log)(NULL, 0, "normal\n");
    FN(crypt_log)(NULL, 1, "error\n");
    FN(crypt_log)(NULL, 2, "verbose\n");
    FN(crypt_log)(NULL, -1, "debug\n");
    fflush(stdout);
    calls += 4;
}

static void memory(void)
{
    unsigned char *data = FN(crypt_safe_alloc)(100);
    int zeros = 1;

    for (int i = 0; i < 100; i++)
        zeros &= data[i] == 0;
    result("zeros", zeros);
    memset(data, 7, 100);
    data = FN(crypt_safe_realloc)(data, 200);
    result("kept", data[99]);
    result("more", data[100]);
    FN(crypt_safe_memzero)(data, 100);
    result("cleared", data[99]);
    FN(crypt_safe_free)(data);
    FN(crypt_safe_free)(NULL);
    result("nothing", FN(crypt_safe_alloc)(0) == NULL);
    result("too much", FN(crypt_safe_alloc)(SIZE_MAX) == NULL);
}

/* Everything else: with no handle, an empty one, and one of an image, and with zeros for all other arguments. Which of
 * several things that are wrong is named is not compared: only the numbers are. */
static const char *const OTHERS[] = {
#include "others.h"
    NULL,
};

static void unheard(int level, const char *message, void *user)
{
    (void)level, (void)message, (void)user;
}

static void free_all(struct crypt_device **cds)
{
    for (int i = 0; i < 3; i++)
        FN(crypt_free)(cds[i]);
}

static void other(const char *name)
{
    FN(crypt_set_log_callback)(NULL, unheard, NULL);
    struct crypt_device *cds[3] = {NULL, handle("data"), handle("hash")};
    int (*function)(void *, long, long, long, long, long, long, long, long) = symbol(name);

    CALL(crypt_load, cds[2], CRYPT_VERITY, NULL);
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            printf("  handle %d", i);
            result("", function(cds[i], 0, 0, 0, 0, 0, 0, 0, 0));
            fflush(stdout);
            free_all(cds);
            _exit(0);
        }
        int status = 0;
        calls++;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status))
            printf("  handle %d signal %d\n", i, WTERMSIG(status));
    }
    free_all(cds);
}

static const char *current;
static void one_other(void)
{
    other(current);
}

static void patch(const char *name, long place, const char *bytes, size_t size)
{
    char superblock[8192];
    int from = open("hash", O_RDONLY), to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t length = read(from, superblock, sizeof(superblock));

    memcpy(superblock + place, bytes, size);
    if (write(to, superblock, (size_t)length) != length)
        exit(2);
    close(from);
    close(to);
}

int main(int argc, char **argv)
{
    static const char *const EMPTY[] = {"empty", "hash", "fec", "new", "new2", "new3", "new4", "new5", "new6",
                                        "new7", "new8", "newfec", "new9", "new0", "newa", "newb"};

    open_library(argc, argv);
    for (size_t i = 0; i < sizeof(EMPTY) / sizeof(*EMPTY); i++)
        file(EMPTY[i], 0);
    file("data", 64 * 4096);
    file("damaged", 64 * 4096);
    file("short", 300);
    overwrite("damaged", 5000, "damage");

    in_child("inits", inits);
    in_child("init_data", init_data);
    in_child("init_data_without_hash", init_data_without_hash);
    in_child("no_handle", no_handle);
    in_child("formats", formats);
    in_child("format_refusals", format_refusals);
    in_child("format_types", format_types);
    in_child("format_ways", format_ways);
    in_child("format_info", format_info);
    in_child("loads", loads);
    patch("badversion", 8, "\2", 1);
    patch("badhash", 32, "nosuchhash", 10);
    patch("badblock", 64, "\1", 1);
    in_child("load_ways", load_ways);
    in_child("checks", checks);
    in_child("check_without_key", check_without_key);
    in_child("activations", activations);
    in_child("logs", logs);
    in_child("logs_to_streams", logs_to_streams);
    in_child("memory", memory);
    for (const char *const *name = OTHERS; *name; name++) {
        current = *name;
        in_child(*name, one_other);
    }
    printf("%d calls\n", calls);
    return 0;
}
