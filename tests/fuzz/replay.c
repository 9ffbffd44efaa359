/*
 * replay: plays the seeds of a fuzz target, without the fuzzer and with any
 * compiler: `replay-TARGET FOLDER`. So that what was found once stays mended.
 *
 * Stops at the first seed that breaks something; its name is the last one printed.
 */
#include "check.h"

#include <dirent.h>

#define SEED_MAX (1u << 20)

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void play(const char *folder, const char *name)
{
    char path[4096];
    uint8_t *bytes = malloc(SEED_MAX);
    FILE *file;
    size_t n;

    fprintf(stderr, "%s\n", name);
    CHECK(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path);
    file = fopen(path, "rb");
    CHECK(bytes && file);
    n = fread(bytes, 1, SEED_MAX, file);
    CHECK(!ferror(file) && feof(file));
    fclose(file);
    bytes = realloc(bytes, n ? n : 1); /* so that reading behind it is seen */
    CHECK(bytes);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
}

int main(int argc, char **argv)
{
    struct dirent **seeds;
    int count = argc == 2 ? scandir(argv[1], &seeds, is_seed, alphasort) : -1;

    CHECK(count > 0);
    for (int i = 0; i < count; i++) {
        play(argv[1], seeds[i]->d_name);
        free(seeds[i]);
    }
    free(seeds);
    return 0;
}
