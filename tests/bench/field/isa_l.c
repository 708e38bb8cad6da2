/* Makes the parity of dm-verity's FEC by one thread with the erasure code of ISA-L.
 *
 *   isa_l version
 *   isa_l speed                          rows in memory: a line "ROOTS MIB_PER_SECOND" for 2, 8 and 24 roots
 *   isa_l parity DATA HASH ROOTS OUT     writes the parity of an image, byte for byte what `format` writes for it
 *
 * HASH has a superblock in its first block, which parity does not cover. */
#include <fcntl.h>
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A codeword has 255 symbols. A row has the symbols at one place of all codewords of a round, a block's worth. As many
 * codewords as in our own benchmark are encoded at a time in memory, so that 512 KiB are read. */
enum { SYMBOLS = 255, MOST_ROOTS = 24, BLOCK = 4096, CODEWORDS = 2048 };

/* For how long each is measured. */
static const double SECONDS = 0.2;

struct area {
    unsigned char *bytes;
    size_t blocks;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The tables for the generator matrix of the systematic code whose generator polynomial has the roots 2^0 to
 * 2^(roots - 1): what symbol i adds to the parity are the coefficients of x^(254 - i) modulo this polynomial. The field
 * has the same polynomial, 0x11d, as ISA-L's. */
static unsigned char *tables(int roots)
{
    static unsigned char made[32 * SYMBOLS * MOST_ROOTS];
    unsigned char polynomial[MOST_ROOTS + 1] = {1}, matrix[SYMBOLS * MOST_ROOTS], rest[MOST_ROOTS];
    int data = SYMBOLS - roots;

    /* The highest power first; its coefficient is 1. */
    for (int root = 0, value = 1; root < roots; root++, value = gf_mul((unsigned char)value, 2))
        for (int i = root + 1; i > 0; i--)
            polynomial[i] ^= gf_mul(polynomial[i - 1], (unsigned char)value);
    /* The remainder of x^roots; each step to the left multiplies it by x. */
    memcpy(rest, polynomial + 1, (size_t)roots);
    for (int symbol = data - 1; symbol >= 0; symbol--) {
        unsigned char first = rest[0];

        for (int row = 0; row < roots; row++) {
            matrix[row * data + symbol] = rest[row];
            rest[row] = (row + 1 < roots ? rest[row + 1] : 0) ^ gf_mul(first, polynomial[row + 1]);
        }
    }
    ec_init_tables(data, roots, matrix, made);
    return made;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void speed(int roots)
{
    static unsigned char bytes[SYMBOLS * CODEWORDS];
    unsigned char *rows[SYMBOLS], *table = tables(roots);
    int data = SYMBOLS - roots;
    double start, took = 0;
    size_t rounds = 0;

    memset(bytes, 0x5a, sizeof bytes);
    for (int row = 0; row < SYMBOLS; row++)
        rows[row] = bytes + row * CODEWORDS;
    for (start = now(); took < SECONDS; took = now() - start, rounds++)
        ec_encode_data(CODEWORDS, data, roots, table, rows, rows + data);
    printf("%d %.1f\n", roots, (double)rounds * data * CODEWORDS / 1048576 / took);
}

/* A file's whole blocks. */
static struct area map(const char *name)
{
    struct area area = {NULL, 0};
    struct stat found;
    int file = open(name, O_RDONLY);

    if (file < 0 || fstat(file, &found))
        fail(name);
    area.blocks = (size_t)found.st_size / BLOCK;
    if (area.blocks) {
        area.bytes = mmap(NULL, area.blocks * BLOCK, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
        if (area.bytes == MAP_FAILED)
            fail(name);
    }
    close(file);
    return area;
}

static void parity(const char *data_name, const char *hash_name, int roots, const char *to)
{
    static unsigned char zeros[BLOCK], made[MOST_ROOTS][BLOCK], mixed[MOST_ROOTS * BLOCK];
    struct area data = map(data_name), hash = map(hash_name);
    unsigned char *rows[SYMBOLS], *out[MOST_ROOTS], *table = tables(roots);
    size_t symbols = (size_t)(SYMBOLS - roots), covered = data.blocks + hash.blocks - 1;
    size_t rounds = (covered + symbols - 1) / symbols;
    FILE *file = fopen(to, "wb");

    if (!file)
        fail(to);
    for (int row = 0; row < roots; row++)
        out[row] = made[row];
    for (size_t round = 0; round < rounds; round++) {
        for (size_t row = 0; row < symbols; row++) {
            size_t block = row * rounds + round;

            rows[row] = block < data.blocks ? data.bytes + block * BLOCK
                : block < covered ? hash.bytes + (block - data.blocks + 1) * BLOCK
                : zeros;
        }
        ec_encode_data(BLOCK, (int)symbols, roots, table, rows, out);
        for (int row = 0; row < roots; row++)
            for (int column = 0; column < BLOCK; column++)
                mixed[column * roots + row] = made[row][column];
        if (fwrite(mixed, BLOCK, (size_t)roots, file) != (size_t)roots)
            fail(to);
    }
    /* As ours does. */
    if (fflush(file) || fsync(fileno(file)) || fclose(file))
        fail(to);
}

int main(int argc, char **argv)
{
    int roots = argc == 6 ? atoi(argv[4]) : 0;

    if (argc == 2 && !strcmp(argv[1], "version")) {
        printf("%d.%d.%d\n", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION, ISAL_PATCH_VERSION);
    } else if (argc == 2 && !strcmp(argv[1], "speed")) {
        speed(2);
        speed(8);
        speed(24);
    } else if (argc == 6 && !strcmp(argv[1], "parity") && roots >= 2 && roots <= MOST_ROOTS) {
        parity(argv[2], argv[3], roots, argv[5]);
    } else {
        return 2;
    }
    return 0;
}
