/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The verity part of the interface of libcryptsetup.so.12, as the dmverity project's library of that name has it. Its
 * functions return 0 or a negative number of errno.h unless it says otherwise here. See libcryptsetup-verity(7).
 */
#ifndef DMVERITY_CRYPTSETUP_VERITY_H
#define DMVERITY_CRYPTSETUP_VERITY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A handle: one image, or one mapping. Different threads may use different handles at the same time. */
struct crypt_device;

/* The type for crypt_load and crypt_format. */
#define CRYPT_VERITY "VERITY"

/* Parameters of an image. Texts that crypt_get_verity_info returns stay valid until crypt_free. */
struct crypt_params_verity {
    const char *hash_name;     /* such as "sha256" */
    const char *data_device;   /* NULL: the one of crypt_init_data_device */
    const char *hash_device;
    const char *fec_device;    /* NULL: no FEC */
    const char *salt;          /* salt_size bytes; NULL: crypt_format makes a random one */
    uint32_t salt_size;        /* 0 to 256 */
    uint32_t hash_type;        /* 1; 0 is that of Chrome OS */
    uint32_t data_block_size;  /* bytes */
    uint32_t hash_block_size;  /* bytes */
    uint64_t data_size;        /* data blocks; 0: the whole device */
    uint64_t hash_area_offset; /* bytes; after crypt_init_by_name the table's first hash block */
    uint64_t fec_area_offset;  /* bytes */
    uint32_t fec_roots;        /* 2 to 24 */
    uint32_t flags;            /* CRYPT_VERITY_... */
};

#define CRYPT_VERITY_NO_HEADER (UINT32_C(1) << 0)           /* no superblock */
#define CRYPT_VERITY_CHECK_HASH (UINT32_C(1) << 1)          /* activation verifies the whole image first */
#define CRYPT_VERITY_CREATE_HASH (UINT32_C(1) << 2)         /* crypt_format writes the hash tree */
#define CRYPT_VERITY_ROOT_HASH_SIGNATURE (UINT32_C(1) << 3) /* only with a signature */

/* A mapping. */
struct crypt_active_device {
    uint64_t offset;    /* left as it is */
    uint64_t iv_offset; /* left as it is */
    uint64_t size;      /* sectors of 512 bytes */
    uint32_t flags;     /* CRYPT_ACTIVATE_... */
};

#define CRYPT_ACTIVATE_READONLY (UINT32_C(1) << 0)
#define CRYPT_ACTIVATE_SHARED (UINT32_C(1) << 2)
#define CRYPT_ACTIVATE_CORRUPTED (UINT32_C(1) << 5) /* only reported */
#define CRYPT_ACTIVATE_IGNORE_CORRUPTION (UINT32_C(1) << 8)
#define CRYPT_ACTIVATE_RESTART_ON_CORRUPTION (UINT32_C(1) << 9)
#define CRYPT_ACTIVATE_IGNORE_ZERO_BLOCKS (UINT32_C(1) << 10)
#define CRYPT_ACTIVATE_CHECK_AT_MOST_ONCE (UINT32_C(1) << 15)
#define CRYPT_ACTIVATE_PANIC_ON_CORRUPTION (UINT32_C(1) << 23)
#define CRYPT_ACTIVATE_TASKLETS (UINT32_C(1) << 27)
#define CRYPT_ACTIVATE_ERROR_AS_CORRUPTION (UINT32_C(1) << 29) /* with restart or panic */

#define CRYPT_DEACTIVATE_DEFERRED (UINT32_C(1) << 0)
#define CRYPT_DEACTIVATE_FORCE (UINT32_C(1) << 1) /* no effect */
#define CRYPT_DEACTIVATE_DEFERRED_CANCEL (UINT32_C(1) << 2)

typedef enum { CRYPT_INVALID, CRYPT_INACTIVE, CRYPT_ACTIVE, CRYPT_BUSY } crypt_status_info;

/* Levels of messages, and of crypt_set_debug_level. */
#define CRYPT_LOG_NORMAL 0
#define CRYPT_LOG_ERROR 1
#define CRYPT_LOG_VERBOSE 2
#define CRYPT_LOG_DEBUG (-1)
#define CRYPT_LOG_DEBUG_JSON (-2)
#define CRYPT_DEBUG_ALL (-1)
#define CRYPT_DEBUG_JSON (-2)
#define CRYPT_DEBUG_NONE 0

#define CRYPT_ANY_SLOT (-1)

/* Handles. What fails leaves NULL in *cd. */
int crypt_init(struct crypt_device **cd, const char *device);
int crypt_init_data_device(struct crypt_device **cd, const char *device, const char *data_device);
int crypt_init_by_name(struct crypt_device **cd, const char *name);
int crypt_init_by_name_and_header(struct crypt_device **cd, const char *name, const char *header_device);
int crypt_set_data_device(struct crypt_device *cd, const char *device);
void crypt_free(struct crypt_device *cd);

/* Reads the superblock. */
int crypt_load(struct crypt_device *cd, const char *requested_type, void *params);

/* Makes an image, writes a superblock alone, or describes an image without superblock, as params->flags says. Cipher,
 * its mode and the volume key are ignored. */
int crypt_format(struct crypt_device *cd, const char *type, const char *cipher, const char *cipher_mode,
                 const char *uuid, const char *volume_key, size_t volume_key_size, void *params);

/* Opens an image; the volume key is its root hash. Without a name and with CRYPT_VERITY_CHECK_HASH, verifies it. */
int crypt_activate_by_volume_key(struct crypt_device *cd, const char *name, const char *volume_key,
                                 size_t volume_key_size, uint32_t flags);
int crypt_activate_by_signed_key(struct crypt_device *cd, const char *name, const char *volume_key,
                                 size_t volume_key_size, const char *signature, size_t signature_size,
                                 uint32_t flags);

/* Closes a mapping; the handle may be NULL, and the name a path below /dev/mapper. */
int crypt_deactivate(struct crypt_device *cd, const char *name);
int crypt_deactivate_by_name(struct crypt_device *cd, const char *name, uint32_t flags);

/* What is known of a mapping or an image. Texts stay valid until crypt_free. */
crypt_status_info crypt_status(struct crypt_device *cd, const char *name);
int crypt_get_active_device(struct crypt_device *cd, const char *name, struct crypt_active_device *cad);
int crypt_get_verity_info(struct crypt_device *cd, struct crypt_params_verity *vp);
const char *crypt_get_type(struct crypt_device *cd);
const char *crypt_get_uuid(struct crypt_device *cd);
const char *crypt_get_device_name(struct crypt_device *cd);
const char *crypt_get_metadata_device_name(struct crypt_device *cd);
const char *crypt_get_dir(void);
int crypt_dump(struct crypt_device *cd);

/* The root hash, and its length in bytes. */
int crypt_get_volume_key_size(struct crypt_device *cd);
int crypt_volume_key_get(struct crypt_device *cd, int keyslot, char *volume_key, size_t *volume_key_size,
                         const char *passphrase, size_t passphrase_size);

/* Messages. A callback is called on the thread that made the call; it must return. Without a handle, it is that of all
 * calls without one of their own. */
void crypt_set_log_callback(struct crypt_device *cd, void (*log)(int level, const char *msg, void *usrptr),
                            void *usrptr);
void crypt_set_debug_level(int level);
void crypt_log(struct crypt_device *cd, int level, const char *msg);
void crypt_logf(struct crypt_device *cd, int level, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* Memory that is cleared when it is freed. */
void *crypt_safe_alloc(size_t size);
void *crypt_safe_realloc(void *data, size_t size);
void crypt_safe_free(void *data);
void crypt_safe_memzero(void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
