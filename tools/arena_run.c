/*
 * arena-run - run a program that is already built on collected memory.
 *
 * Puts libarena-malloc before the program's other libraries, hands on its
 * options in the environment, and becomes the program.  What cannot work is
 * refused beforehand: the loader would ignore the library in silence.
 */

#include "config.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As env(1) and nice(1) have it. */
enum { EXIT_USAGE = 2, EXIT_CANNOT = 126, EXIT_MISSING = 127 };

static const char usage_text[] =
    "usage: arena-run [OPTION]... PROGRAM [ARGUMENT]...\n"
    "Run a program whose malloc is libarena's: what it forgets to free is\n"
    "freed for it.\n"
    "\n"
    "  --limit SIZE          how much it may have: bytes, with K, M, G or T,\n"
    "                        or a percentage of the memory (50%)\n"
    "  --mode collect        free what cannot be reached any more (default)\n"
    "  --mode explicit       count and limit only\n"
    "  --stats               print a line of figures to stderr at the end;\n"
    "                        not if a signal kills it\n"
    "  --report FILE         write figures, faults and open arenas; other\n"
    "                        processes than this to FILE.PID\n"
    "  --trace FILE          log events as they happen, in the same way\n"
    "  --ignore-free         leave what the program frees to the collector\n"
    "  --past-end            keep also what only its end is known of\n"
    "  --gc-every SIZE       collect whenever so much was asked for\n"
    "  --help, --version\n"
    "\n"
    "Exits as the program does; with 2 for a wrong option or variable, 126 if\n"
    "the program cannot be run like this, 127 if there is none.\n";

__attribute__((format(printf, 2, 3), noreturn)) static void
die(int status, const char *format, ...)
{
    va_list args;

    fputs("arena-run: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (status == EXIT_USAGE)
        fputs("Try: arena-run --help\n", stderr);
    exit(status);
}

static void
set(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        die(EXIT_CANNOT, "no memory for the environment");
}

/* --- Options --- */

/* Digits, then one of the units, which may be missing. */
static bool
is_number(const char *text, const char *units)
{
    size_t digits = strspn(text, "0123456789");

    return digits != 0 && digits < 18
           && (text[digits] == '\0'
               || (strchr(units, text[digits]) != NULL
                   && text[digits + 1] == '\0'));
}

/* Of a number with one of these units: is it more than there can be? */
static bool
is_too_much(const char *value)
{
    static const char units[] = "kmgt";
    char *end, *unit;
    unsigned long long number = strtoull(value, &end, 10);

    if (*end == '%')
        return number > 100;
    unit = *end == '\0' ? NULL : strchr(units, *end | 32);
    return unit != NULL && number > SIZE_MAX >> (10 * (unit - units + 1));
}

/* Of values, by the name of what says them. */
static void
check_limit(const char *name, const char *value)
{
    if (!is_number(value, "kKmMgGtT%") || is_too_much(value))
        die(EXIT_USAGE, "%s: '%s' is no size", name, value);
}

static void
check_mode(const char *name, const char *value)
{
    if (strcmp(value, "collect") != 0 && strcmp(value, "explicit") != 0)
        die(EXIT_USAGE, "%s: '%s' is neither collect nor explicit", name,
            value);
}

static void
check_gc_every(const char *name, const char *value)
{
    if (!is_number(value, "kKmMgGtT") || is_too_much(value))
        die(EXIT_USAGE, "%s: '%s' is no size", name, value);
}

static void
option_gc_every(const char *value)
{
    check_gc_every("--gc-every", value);
    if (strspn(value, "0") == strlen(value))
        die(EXIT_USAGE, "--gc-every: '%s' is no size", value);
    set("ARENA_GC_EVERY", value);
}

/* What is in the environment is handed on, and the program would pass over
 * what means nothing. */
static void
check_variable(const char *name, void (*check)(const char *name,
                                               const char *value))
{
    const char *value = getenv(name);

    if (value != NULL && *value != '\0')
        check(name, value);
}

static void
check_environment(void)
{
    check_variable("ARENA_LIMIT", check_limit);
    check_variable("ARENA_MODE", check_mode);
    check_variable("ARENA_GC_EVERY", check_gc_every);
}

/* A file that the program, which may change its directory, writes to: begun
 * here, so that what cannot be written is said now. */
static void
option_file(const char *option, const char *variable, const char *value)
{
    char path[PATH_MAX], number[16];
    size_t used = 0;
    int file;

    if (*value == '\0')
        die(EXIT_USAGE, "%s: no file", option);
    if (*value != '/') {
        if (getcwd(path, sizeof path - 1) == NULL)
            die(EXIT_CANNOT, "%s: %s", option, strerror(errno));
        used = strlen(path);
        path[used++] = '/';
    }
    if (strlen(value) >= sizeof path - used)
        die(EXIT_USAGE, "%s: %s", option, strerror(ENAMETOOLONG));
    strcpy(path + used, value);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file == -1 || close(file) != 0)
        die(EXIT_CANNOT, "%s: %s: %s", option, value, strerror(errno));
    set(variable, path);
    snprintf(number, sizeof number, "%d", (int)getpid());
    set("ARENA_PID", number);
}

enum { OPT_LIMIT = 1, OPT_MODE, OPT_STATS, OPT_REPORT,
       OPT_TRACE, OPT_IGNORE, OPT_PAST_END, OPT_EVERY };

static const struct option options[] = {
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"mode", required_argument, NULL, OPT_MODE},
    {"stats", no_argument, NULL, OPT_STATS},
    {"report", required_argument, NULL, OPT_REPORT},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"ignore-free", no_argument, NULL, OPT_IGNORE},
    {"past-end", no_argument, NULL, OPT_PAST_END},
    {"gc-every", required_argument, NULL, OPT_EVERY},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void
print_and_exit(const char *text)
{
    fputs(text, stdout);
    exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_CANNOT);
}

static void
read_options(int argc, char **argv)
{
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:hV", options, NULL)) != -1)
        switch (option) {
        case OPT_LIMIT:
            check_limit("--limit", optarg);
            set("ARENA_LIMIT", optarg);
            break;
        case OPT_MODE:
            check_mode("--mode", optarg);
            set("ARENA_MODE", optarg);
            break;
        case OPT_STATS:
            set("ARENA_STATS", "1");
            break;
        case OPT_REPORT:
            option_file("--report", "ARENA_REPORT", optarg);
            break;
        case OPT_TRACE:
            option_file("--trace", "ARENA_TRACE", optarg);
            break;
        case OPT_IGNORE:
            set("ARENA_IGNORE_FREE", "1");
            break;
        case OPT_PAST_END:
            set("ARENA_PAST_END", "1");
            break;
        case OPT_EVERY:
            option_gc_every(optarg);
            break;
        case 'h':
            print_and_exit(usage_text);
            break;
        case 'V':
            print_and_exit(PACKAGE_STRING "\n");
            break;
        case ':':
            die(EXIT_USAGE, "%s needs a value", argv[optind - 1]);
        default:
            die(EXIT_USAGE, "there is no option %s", argv[optind - 1]);
        }
    if (optind == argc)
        die(EXIT_USAGE, "no program to run");
}

/* --- The program --- */

static bool
can_execute(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode)
           && access(path, X_OK) == 0;
}

/* Where the shell would find it; NULL if nowhere. */
static char *
search(const char *name)
{
    static char path[PATH_MAX];
    const char *places = getenv("PATH");

    if (places == NULL)
        places = "/usr/local/bin:/bin:/usr/bin";
    for (;;) {
        size_t length = strcspn(places, ":");
        const char *place = length == 0 ? "." : places;

        if (snprintf(path, sizeof path, "%.*s/%s",
                     (int)(length == 0 ? 1 : length), place, name)
                < (int)sizeof path
            && can_execute(path))
            return path;
        if (places[length] == '\0')
            return NULL;
        places += length + 1;
    }
}

/* The loader drops what was preloaded when the program gains rights. */
static void
refuse_privileged(const char *path, const struct stat *status)
{
    if (((status->st_mode & S_ISUID) != 0 && status->st_uid != geteuid())
        || ((status->st_mode & S_ISGID) != 0 && status->st_gid != getegid()))
        die(EXIT_CANNOT,
            "%s runs with the rights of another user or group (set-id): the "
            "loader ignores libarena there",
            path);
    if (geteuid() != 0
        && getxattr(path, "security.capability", NULL, 0) > 0)
        die(EXIT_CANNOT,
            "%s has file capabilities: the loader ignores libarena there",
            path);
}

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE
#endif

/* The path of the loader that a program asks for; false if it asks for none.
 */
static bool
elf_loader(int file, const Elf64_Ehdr *head, char *loader, size_t size)
{
    for (unsigned i = 0; i < head->e_phnum; i++) {
        Elf64_Phdr part;
        size_t length;

        if (pread(file, &part, sizeof part,
                  (off_t)(head->e_phoff + i * sizeof part))
            != (ssize_t)sizeof part)
            return false;
        if (part.p_type != PT_INTERP)
            continue;
        length = part.p_filesz < size - 1 ? part.p_filesz : size - 1;
        if (pread(file, loader, length, (off_t)part.p_offset)
            != (ssize_t)length)
            return false;
        loader[length] = '\0';
        return true;
    }
    return false;
}

static void
check_elf(const char *path, int file, const Elf64_Ehdr *head)
{
    char loader[PATH_MAX];
    const char *name;

    if (head->e_ident[EI_CLASS] != ELFCLASS64
        || (MACHINE != EM_NONE && head->e_machine != MACHINE))
        die(EXIT_CANNOT, "%s is built for another kind of machine", path);
    if (head->e_type != ET_EXEC && head->e_type != ET_DYN)
        die(EXIT_CANNOT, "%s is not a program", path);
    if (!elf_loader(file, head, loader, sizeof loader))
        die(EXIT_CANNOT,
            "%s is linked statically, or is a library: its malloc cannot be "
            "replaced",
            path);
    name = strrchr(loader, '/');
    name = name == NULL ? loader : name + 1;
    if (strncmp(name, "ld-linux", 8) != 0)
        die(EXIT_CANNOT,
            "%s uses another C library (%s): libarena needs glibc", path,
            loader);
}

/* The interpreter of a script, or NULL; text is its first line. */
static char *
interpreter(char *text)
{
    char *start = text + 2 + strspn(text + 2, " \t");

    start[strcspn(start, " \t\r\n")] = '\0';
    return *start == '\0' ? NULL : start;
}

#define DEPTH 4 /* of scripts whose interpreter is a script */

static void
check_program(const char *path, int depth)
{
    union {
        Elf64_Ehdr elf;
        char text[PATH_MAX];
    } head;
    struct stat status;
    ssize_t length;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    /* One that may be run and not read: let it be tried. */
    if (file == -1 || fstat(file, &status) != 0)
        return;
    memset(&head, 0, sizeof head);
    length = read(file, &head, sizeof head - 1);
    if (length >= (ssize_t)sizeof head.elf
        && memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0) {
        refuse_privileged(path, &status);
        check_elf(path, file, &head.elf);
    } else if (length > 2 && memcmp(head.text, "#!", 2) == 0) {
        char *inner = interpreter(head.text);

        if (inner == NULL || !can_execute(inner))
            die(EXIT_CANNOT, "%s is a script without an interpreter that "
                             "can be run",
                path);
        if (depth < DEPTH)
            check_program(inner, depth + 1);
    } else {
        die(EXIT_CANNOT, "%s is not a program", path);
    }
    close(file);
}

static const char *
find_program(const char *name)
{
    const char *path = name;

    if (strchr(name, '/') == NULL)
        path = *name == '\0' ? NULL : search(name);
    if (path == NULL)
        die(EXIT_MISSING, "%s: no such program", name);
    if (access(path, F_OK) != 0)
        die(EXIT_MISSING, "%s: %s", name, strerror(errno));
    if (!can_execute(path))
        die(EXIT_CANNOT, "%s is not a program that may be run", name);
    return path;
}

/* --- The library --- */

#define LIBRARY ARENA_LIBDIR "/libarena-malloc.so"

/* Where it was installed.  All of that may have been put below another
 * directory: then this program was, too. */
static const char *
installed_library(void)
{
    static char path[PATH_MAX];
    const char *self = ARENA_BINDIR "/arena-run";
    ssize_t length =
        readlink("/proc/self/exe", path, sizeof path - sizeof LIBRARY);
    size_t root = (size_t)length - strlen(self);

    if (length < (ssize_t)strlen(self)
        || memcmp(path + root, self, strlen(self)) != 0)
        return LIBRARY;
    strcpy(path + root, LIBRARY);
    return path;
}

/* Before what is preloaded already. */
static void
preload(void)
{
    const char *library = getenv("ARENA_MALLOC_LIBRARY");
    const char *others = getenv("LD_PRELOAD");
    size_t size;
    char *list;

    if (library == NULL || *library == '\0')
        library = installed_library();
    if (access(library, R_OK) != 0)
        die(EXIT_CANNOT, "%s: %s", library, strerror(errno));
    if (strpbrk(library, " :") != NULL)
        die(EXIT_CANNOT,
            "%s: the loader takes no path with a space or a colon", library);
    if (others == NULL)
        others = "";
    size = strlen(library) + strlen(others) + 2;
    list = malloc(size);
    if (list == NULL)
        die(EXIT_CANNOT, "no memory for the environment");
    snprintf(list, size, "%s%s%s", library, *others == '\0' ? "" : ":",
             others);
    set("LD_PRELOAD", list);
    free(list);
}

int
main(int argc, char **argv)
{
    const char *path;

    read_options(argc, argv);
    check_environment();
    path = find_program(argv[optind]);
    check_program(path, 0);
    preload();
    execv(path, argv + optind);
    die(EXIT_CANNOT, "%s: %s", argv[optind], strerror(errno));
}
