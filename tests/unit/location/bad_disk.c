/* bad_disk: see the header. */
#include "bad_disk.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define NAME      "bad_disk"
#define NAME_MOST 512

struct handle {
    sqlite3_file base;
    struct disk *disk;
    struct disk_file *file;
};

/* ---- chance ---------------------------------------------------------------------- */

static uint64_t draw(struct disk *d)
{
    d->chance ^= d->chance << 13;
    d->chance ^= d->chance >> 7;
    d->chance ^= d->chance << 17;
    return d->chance;
}

static size_t below(struct disk *d, size_t n)
{
    return n ? (size_t)(draw(d) % n) : 0;
}

/* ---- bytes ----------------------------------------------------------------------- */

static void resize(unsigned char **bytes, size_t *n, size_t to)
{
    unsigned char *larger = realloc(*bytes, to ? to : 1);

    if (!larger)
        abort();
    if (to > *n)
        memset(larger + *n, 0, to - *n);
    *bytes = larger;
    *n = to;
}

static void put(unsigned char **bytes, size_t *n, size_t at, const void *from, size_t from_n)
{
    if (at + from_n > *n)
        resize(bytes, n, at + from_n);
    if (from_n)
        memcpy(*bytes + at, from, from_n);
}

static void note(struct disk_file *f, size_t at, const void *bytes, size_t n)
{
    struct disk_write *more = realloc(f->unsynced, (f->unsynced_n + 1) * sizeof *more);

    if (!more)
        abort();
    f->unsynced = more;
    more[f->unsynced_n] = (struct disk_write){.at = at, .n = n};
    if (bytes) {
        more[f->unsynced_n].bytes = malloc(n ? n : 1);
        memcpy(more[f->unsynced_n].bytes, bytes, n);
    }
    f->unsynced_n++;
}

static void forget_unsynced(struct disk_file *f)
{
    for (size_t i = 0; i < f->unsynced_n; i++)
        free(f->unsynced[i].bytes);
    free(f->unsynced);
    f->unsynced = NULL;
    f->unsynced_n = 0;
}

/* ---- faults ---------------------------------------------------------------------- */

/* SQLITE_OK, or what this operation comes to. */
static int next(struct disk *d, bool grows, int failure)
{
    if (d->no_power)
        return SQLITE_IOERR;
    if (d->fault != DISK_READS && ++d->operation == d->fault_at && d->fault != DISK_SOUND) {
        d->fired = true;
        if (d->fault == DISK_FAILS)
            return failure;
        if (d->fault == DISK_CUT) {
            d->no_power = true;
            return SQLITE_IOERR;
        }
        d->full = true;
    }
    return d->full && grows ? SQLITE_FULL : SQLITE_OK;
}

void disk_break(struct disk *d, enum disk_fault fault, unsigned at)
{
    d->fault = fault;
    d->fault_at = at;
    d->operation = 0;
    d->fired = d->full = false;
}

/* What the power cut leaves of one write: all, nothing, or a part. */
static void survive(struct disk *d, struct disk_file *f, const struct disk_write *w)
{
    size_t from = 0, to = w->n;

    switch (below(d, 4)) {
    case 0:
        return;
    case 1:
        to = below(d, w->n + 1);
        break;
    case 2:
        from = below(d, w->n + 1);
        break;
    default:
        break;
    }
    if (!w->bytes)
        resize(&f->durable, &f->durable_n, w->at);
    else if (to > from)
        put(&f->durable, &f->durable_n, w->at + from, w->bytes + from, to - from);
}

static void drop_shared(struct disk_file *f)
{
    for (size_t i = 0; i < f->shared_n; i++)
        free(f->shared[i]);
    free(f->shared);
    f->shared = NULL;
    f->shared_n = 0;
}

void disk_reboot(struct disk *d)
{
    for (unsigned i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &d->file[i];

        if (!f->name)
            continue;
        for (size_t k = 0; k < f->unsynced_n; k++)
            survive(d, f, &f->unsynced[k]);
        forget_unsynced(f);
        resize(&f->now, &f->now_n, f->durable_n);
        if (f->durable_n)
            memcpy(f->now, f->durable, f->durable_n);
        drop_shared(f);
    }
    d->no_power = false;
    disk_break(d, DISK_SOUND, 0);
}

/* ---- one file --------------------------------------------------------------------- */

static int file_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    struct handle *h = (struct handle *)file;
    struct disk_file *f = h->file;
    size_t there = (size_t)at < f->now_n ? f->now_n - (size_t)at : 0;

    if (h->disk->no_power)
        return SQLITE_IOERR_READ;
    if (h->disk->fault == DISK_READS && ++h->disk->operation == h->disk->fault_at) {
        h->disk->fired = true;
        return SQLITE_IOERR_READ;
    }
    if (there > (size_t)n)
        there = (size_t)n;
    if (there)
        memcpy(to, f->now + at, there);
    if (there == (size_t)n)
        return SQLITE_OK;
    memset((char *)to + there, 0, (size_t)n - there);
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    struct handle *h = (struct handle *)file;
    struct disk_file *f = h->file;
    bool had_power = !h->disk->no_power;
    int rc = next(h->disk, (size_t)at + (size_t)n > f->now_n, SQLITE_IOERR_WRITE);
    size_t done = (size_t)n;

    if (rc == SQLITE_FULL || !had_power)
        return rc;
    if (rc != SQLITE_OK)
        done = below(h->disk, (size_t)n + 1);
    put(&f->now, &f->now_n, (size_t)at, from, done);
    note(f, (size_t)at, from, done);
    return rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct handle *h = (struct handle *)file;
    int rc = next(h->disk, false, SQLITE_IOERR_TRUNCATE);

    if (rc != SQLITE_OK)
        return rc;
    resize(&h->file->now, &h->file->now_n, (size_t)size);
    note(h->file, (size_t)size, NULL, 0);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct handle *h = (struct handle *)file;
    struct disk_file *f = h->file;
    bool had_power = !h->disk->no_power;
    int rc = next(h->disk, false, SQLITE_IOERR_FSYNC);

    (void)flags;
    if (rc == SQLITE_OK) {
        resize(&f->durable, &f->durable_n, f->now_n);
        if (f->now_n)
            memcpy(f->durable, f->now, f->now_n);
        forget_unsynced(f);
    } else if (had_power && h->disk->fault == DISK_FAILS) {
        for (size_t k = 0; k < f->unsynced_n; k++) /* kept in part, and not tried again */
            survive(h->disk, f, &f->unsynced[k]);
        forget_unsynced(f);
    }
    return rc;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)((struct handle *)file)->file->now_n;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int lock)
{
    (void)file;
    (void)lock;
    return SQLITE_OK;
}

static int file_is_locked(sqlite3_file *file, int *locked)
{
    (void)file;
    *locked = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
    (void)file;
    return 512;
}

static int file_traits(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as on Linux */
}

static int file_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    struct disk_file *f = ((struct handle *)file)->file;

    *out = NULL;
    while (extend && f->shared_n <= (size_t)region) {
        unsigned char **more = realloc(f->shared, (f->shared_n + 1) * sizeof *more);

        if (!more)
            abort();
        f->shared = more;
        f->shared[f->shared_n++] = calloc(1, (size_t)size);
    }
    if ((size_t)region < f->shared_n)
        *out = f->shared[region];
    return SQLITE_OK;
}

static int file_map_lock(sqlite3_file *file, int offset, int n, int flags)
{
    (void)file;
    (void)offset;
    (void)n;
    (void)flags;
    return SQLITE_OK;
}

static void file_barrier(sqlite3_file *file)
{
    (void)file;
}

static int file_unmap(sqlite3_file *file, int forget)
{
    (void)forget; /* there is no other connection */
    drop_shared(((struct handle *)file)->file);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_is_locked,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_map,
    .xShmLock = file_map_lock,
    .xShmBarrier = file_barrier,
    .xShmUnmap = file_unmap,
};

/* ---- the disk ---------------------------------------------------------------------- */

static struct disk_file *find(struct disk *d, const char *name)
{
    for (unsigned i = 0; i < DISK_FILES; i++)
        if (d->file[i].name && strcmp(d->file[i].name, name) == 0)
            return &d->file[i];
    return NULL;
}

static struct disk_file *make(struct disk *d, const char *name)
{
    for (unsigned i = 0; i < DISK_FILES; i++)
        if (!d->file[i].name) {
            d->file[i].name = strdup(name);
            return &d->file[i];
        }
    abort();
}

static void delete (struct disk_file *f)
{
    forget_unsynced(f);
    drop_shared(f);
    free(f->name);
    free(f->now);
    free(f->durable);
    *f = (struct disk_file){0};
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct disk *d = vfs->pAppData;
    struct handle *h = (struct handle *)file;

    h->base.pMethods = NULL;
    if (d->no_power)
        return SQLITE_IOERR;
    h->disk = d;
    h->file = find(d, name ? name : "temporary");
    if (!h->file)
        h->file = make(d, name ? name : "temporary");
    h->base.pMethods = &methods;
    if (out)
        *out = d->read_only ? (flags & ~SQLITE_OPEN_READWRITE) | SQLITE_OPEN_READONLY : flags;
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct disk *d = vfs->pAppData;
    struct disk_file *f = find(d, name);
    int rc = next(d, false, SQLITE_IOERR_DELETE);

    (void)sync;
    if (rc == SQLITE_OK && f)
        delete (f);
    return rc;
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    const struct disk_file *f = find(vfs->pAppData, name);

    (void)flags;
    *out = f && f->now_n > 0;
    return SQLITE_OK;
}

static int disk_path(sqlite3_vfs *vfs, const char *name, int n, char *out)
{
    (void)vfs;
    if (strlen(name) >= (size_t)n)
        return SQLITE_CANTOPEN;
    strcpy(out, name);
    return SQLITE_OK;
}

static int disk_randomness(sqlite3_vfs *vfs, int n, char *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (char)draw(vfs->pAppData);
    return n;
}

static int disk_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int disk_time(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 2460000;
    return SQLITE_OK;
}

static int disk_last_error(sqlite3_vfs *vfs, int n, char *out)
{
    (void)vfs;
    (void)n;
    (void)out;
    return 0;
}

void disk_init(struct disk *d, uint64_t seed)
{
    sqlite3_vfs *vfs = calloc(1, sizeof *vfs);

    *d = (struct disk){.chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    *vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = sizeof(struct handle),
        .mxPathname = NAME_MOST,
        .zName = NAME,
        .pAppData = d,
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_path,
        .xRandomness = disk_randomness,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xGetLastError = disk_last_error,
    };
    if (sqlite3_vfs_register(vfs, 1) != SQLITE_OK)
        abort();
}

void disk_fini(struct disk *d)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NAME);

    sqlite3_vfs_unregister(vfs);
    free(vfs);
    for (unsigned i = 0; i < DISK_FILES; i++)
        if (d->file[i].name)
            delete (&d->file[i]);
}
