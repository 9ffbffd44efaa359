/*
 * location/writer: see the header.
 *
 * One lock, held for a few instructions only; the batch itself is never shared, it
 * belongs to the thread from writer_give() to writer_done().
 */
#include "location/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct writer {
    struct store *store;
    pthread_t thread;
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct span batch; /* under the lock, as all that follows */
    bool given;
    bool done;
    bool ok;
    bool ending;
    char why[STORE_WHY_MAX];
};

/* The next batch; false: it is over. Holds the lock before and after. */
static bool wait_for_work(struct writer *w)
{
    while (!w->given && !w->ending)
        pthread_cond_wait(&w->work, &w->lock);
    return w->given;
}

static void *write_all(void *self)
{
    struct writer *w = self;

    pthread_mutex_lock(&w->lock);
    while (wait_for_work(w)) {
        struct span batch = w->batch;
        char why[STORE_WHY_MAX] = "";
        uint64_t one = 1;
        bool ok;

        pthread_mutex_unlock(&w->lock);
        ok = store_write(w->store, batch, why);
        pthread_mutex_lock(&w->lock);
        w->given = false;
        w->done = true;
        w->ok = ok;
        memcpy(w->why, why, sizeof why);
        if (write(w->fd, &one, sizeof one) != sizeof one)
            break; /* an eventfd that counts to one cannot be full */
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct writer *writer_new(struct store *s)
{
    struct writer *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->store = s;
    w->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    if (w->fd >= 0 && pthread_create(&w->thread, NULL, write_all, w) == 0)
        return w;
    if (w->fd >= 0)
        close(w->fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    free(w);
    return NULL;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    close(w->fd);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    free(w);
}

void writer_give(struct writer *w, struct span batch)
{
    pthread_mutex_lock(&w->lock);
    w->batch = batch;
    w->given = true;
    w->done = false;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

int writer_fd(const struct writer *w)
{
    return w->fd;
}

bool writer_done(struct writer *w, bool *ok, char why[STORE_WHY_MAX])
{
    uint64_t count;
    bool done;

    (void)!read(w->fd, &count, sizeof count);
    pthread_mutex_lock(&w->lock);
    done = w->done;
    w->done = false;
    *ok = w->ok;
    memcpy(why, w->why, sizeof w->why);
    pthread_mutex_unlock(&w->lock);
    return done;
}
