/* What Rust cannot say: functions with two versions, and one with any number of arguments. `make lib` compiles it with
 * the command that links the library.
 *
 * Each of two versions needs a symbol of its own, and both have to be named: with only one of them, GNU ld silently
 * leaves the other out. */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define EXPORTED(symbol, name) __asm__(".symver " #symbol "," name)

/* The longest line of crypt_logf. */
#define LINE_BYTES 4096

int dmverity_crypt_format(void *cd, const char *type, const char *cipher, const char *mode, const char *uuid,
                          const char *key, size_t key_size, void *params);
void crypt_log(void *cd, int level, const char *text);

void crypt_logf(void *cd, int level, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    int length;

    if (!format)
        return;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    /* All but normal text gets its end here. */
    if (level != 0)
        strcat(line, "\n");
    crypt_log(cd, level, line);
}

#define FORMAT(symbol, name)                                                                                        \
    int symbol(void *cd, const char *type, const char *cipher, const char *mode, const char *uuid, const char *key, \
               size_t key_size, void *params);                                                                      \
    EXPORTED(symbol, name);                                                                                         \
    int symbol(void *cd, const char *type, const char *cipher, const char *mode, const char *uuid, const char *key, \
               size_t key_size, void *params)                                                                       \
    {                                                                                                               \
        return dmverity_crypt_format(cd, type, cipher, mode, uuid, key, key_size, params);                          \
    }

FORMAT(format_older, "crypt_format@CRYPTSETUP_2.0")
FORMAT(format_newer, "crypt_format@@CRYPTSETUP_2.4")

/* Contexts of key slots: there are none for verity. */
#define REFUSED(symbol, name)  \
    int symbol(void);          \
    EXPORTED(symbol, name);    \
    int symbol(void)           \
    {                          \
        return -EINVAL;        \
    }
#define REFUSED_IN(name, older, newer)                           \
    REFUSED(name##_older, #name "@CRYPTSETUP_" older)            \
    REFUSED(name##_newer, #name "@@CRYPTSETUP_" newer)

REFUSED_IN(crypt_keyslot_context_init_by_keyfile, "2.6", "2.8")
REFUSED_IN(crypt_keyslot_context_init_by_keyring, "2.7", "2.8")
REFUSED_IN(crypt_keyslot_context_init_by_passphrase, "2.6", "2.8")
REFUSED_IN(crypt_keyslot_context_init_by_signed_key, "2.7", "2.8")
REFUSED_IN(crypt_keyslot_context_init_by_token, "2.6", "2.8")
REFUSED_IN(crypt_keyslot_context_init_by_vk_in_keyring, "2.7", "2.8")
REFUSED_IN(crypt_keyslot_context_init_by_volume_key, "2.6", "2.8")
