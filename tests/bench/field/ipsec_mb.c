/* Hashes blocks of 4096 bytes by one thread with the multi-buffer SHA-256 of Intel's ipsec-mb.
 *
 *   ipsec_mb version
 *   ipsec_mb speed               blocks in memory: a line "NAME MIB_PER_SECOND" for each instruction set
 *   ipsec_mb digests FILE OUT    writes the digests of a file's blocks, one after the other
 *
 * The names are those of our backends. As in `veritysetup benchmark`, 512 KiB are hashed again and again. */
#include <intel-ipsec-mb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 4096, BLOCKS = 128, DIGEST = 32 };

/* For how long each is measured. */
static const double SECONDS = 0.2;

struct set {
    const char *name;
    /* What the processor must have. */
    uint64_t needs;
    /* With SHA-NI the library would use that in place of the lanes. */
    uint64_t flags;
    void (*init)(IMB_MGR *);
};

static const struct set SETS[] = {
    {"avx512", IMB_CPUFLAGS_AVX512, IMB_FLAG_SHANI_OFF, init_mb_mgr_avx512},
    {"sha_ni", IMB_CPUFLAGS_SSE_T2, 0, init_mb_mgr_sse},
    {"avx2", IMB_CPUFLAGS_AVX2, IMB_FLAG_SHANI_OFF, init_mb_mgr_avx2},
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A manager for this instruction set; none if the processor lacks it. */
static IMB_MGR *manager(const struct set *set)
{
    IMB_MGR *found = alloc_mb_mgr(set->flags);

    if (!found)
        fail("alloc_mb_mgr");
    /* Without SHA-NI these are the processor's features less that one, which the set then does not need. */
    if ((found->features & set->needs) != set->needs) {
        free_mb_mgr(found);
        return NULL;
    }
    set->init(found);
    if (found->imb_errno) {
        fprintf(stderr, "%s: %s\n", set->name, imb_get_strerror(found->imb_errno));
        exit(1);
    }
    return found;
}

/* Jobs enter until all lanes are busy; from then on each that enters makes one leave. */
static void hash(IMB_MGR *m, const uint8_t *blocks, uint8_t *digests, size_t count)
{
    size_t done = 0;
    IMB_JOB *job;

    for (size_t i = 0; i < count; i++) {
        job = IMB_GET_NEXT_JOB(m);
        memset(job, 0, sizeof *job);
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
        job->hash_alg = IMB_AUTH_SHA_256;
        job->src = blocks + i * BLOCK;
        job->msg_len_to_hash_in_bytes = BLOCK;
        job->auth_tag_output = digests + i * DIGEST;
        job->auth_tag_output_len_in_bytes = DIGEST;
        for (job = IMB_SUBMIT_JOB_NOCHECK(m); job; job = IMB_GET_COMPLETED_JOB(m))
            done += job->status == IMB_STATUS_COMPLETED;
    }
    while ((job = IMB_FLUSH_JOB(m)))
        done += job->status == IMB_STATUS_COMPLETED;
    if (done != count) {
        fprintf(stderr, "%zu of %zu blocks were hashed\n", done, count);
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void speed(void)
{
    static uint8_t blocks[BLOCKS * BLOCK], digests[BLOCKS * DIGEST];

    memset(blocks, 0x5a, sizeof blocks);
    for (size_t i = 0; i < sizeof SETS / sizeof *SETS; i++) {
        IMB_MGR *m = manager(&SETS[i]);
        double start, took = 0;
        size_t rounds = 0;

        if (!m)
            continue;
        hash(m, blocks, digests, BLOCKS);
        for (start = now(); took < SECONDS; took = now() - start, rounds++)
            hash(m, blocks, digests, BLOCKS);
        printf("%s %.1f\n", SETS[i].name, (double)rounds * sizeof blocks / 1048576 / took);
        free_mb_mgr(m);
    }
}

/* Every instruction set must find the same digests. */
static void digests(const char *from, const char *to)
{
    static uint8_t blocks[BLOCKS * BLOCK], found[2][BLOCKS * DIGEST];
    IMB_MGR *managers[sizeof SETS / sizeof *SETS];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t count;

    if (!in || !out)
        fail(in ? to : from);
    for (size_t i = 0; i < sizeof SETS / sizeof *SETS; i++)
        managers[i] = manager(&SETS[i]);
    while ((count = fread(blocks, BLOCK, BLOCKS, in))) {
        int sets = 0;

        for (size_t i = 0; i < sizeof SETS / sizeof *SETS; i++) {
            if (!managers[i])
                continue;
            hash(managers[i], blocks, found[sets > 0], count);
            if (sets++ && memcmp(found[0], found[1], count * DIGEST)) {
                fprintf(stderr, "%s finds other digests\n", SETS[i].name);
                exit(1);
            }
        }
        if (!sets || fwrite(found[0], DIGEST, count, out) != count)
            fail(to);
    }
    if (ferror(in) || fclose(out))
        fail(to);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "version"))
        puts(imb_get_version_str());
    else if (argc == 2 && !strcmp(argv[1], "speed"))
        speed();
    else if (argc == 4 && !strcmp(argv[1], "digests"))
        digests(argv[2], argv[3]);
    else
        return 2;
    return 0;
}
