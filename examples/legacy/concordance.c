/*
 * concordance - every word of some files, with the places where it occurs
 *
 *      concordance [-n times] [-o output] [-f list] [file ...]
 *
 * The files are those named in list, one on each line, and those named as
 * arguments.  They may change while we look at them, so the whole is built
 * times times (once, if not told), each time from nothing, and the last one
 * is printed: first the files with their numbers, then each word, how often
 * it occurs, and where, as file:line.
 *
 * A word is a letter or underscore and the letters, digits and underscores
 * after it; only the first MAXWORD characters count.  Single letters and the
 * words in noise[] are not listed.
 *
 * Nothing is freed.  The system does that when we are done.
 */
#define _XOPEN_SOURCE 500 /* strdup, getopt */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NHASH 262139 /* a prime */
#define MAXLINE 4096
#define MAXWORD 63
#define MAXSHOW 8 /* places printed for a word */
#define NOISE (-1)

struct source { /* a file */
    struct source *next;
    char *name;
    int number;
    long lines;
};

struct place { /* a line in which a word occurs */
    struct source *file;
    int line;
};

struct word {
    struct word *next; /* in its hash chain */
    char *text;
    unsigned long hash;
    long count;          /* how often it occurs */
    int nplace;          /* in how many lines */
    int maxplace;        /* room in place[], NOISE: not listed */
    struct place *place; /* grows */
};

static char noise[] =
    "an and are as at be but by can char class const define else elif endif "
    "enum extern for from has if ifdef ifndef in include inline int is it its "
    "long may not of on or public private return short sizeof static struct "
    "template that the then this to typedef typename undef unsigned using "
    "void was when which while will with";

static struct word *wordtab[NHASH]; /* the concordance */
static struct source *sources;      /* its files, last one first */
static long nwords;                 /* distinct words */
static long ntokens;                /* all words */
static int nsources;

static char *progname = "concordance";

static void
fatal(char *what, char *name)
{
    fprintf(stderr, "%s: %s%s\n", progname, what, name);
    exit(1);
}

/* room - n bytes, or the end */
static void *
room(size_t n)
{
    void *p;

    p = malloc(n);
    if (p == NULL)
        fatal("out of memory", "");
    return p;
}

/* copy - a copy of a string */
static char *
copy(char *s)
{
    char *t;

    t = strdup(s);
    if (t == NULL)
        fatal("out of memory", "");
    return t;
}

/* lookup - find a word, NULL if it is not there */
static struct word *
lookup(char *text, unsigned long hash)
{
    struct word *w;

    for (w = wordtab[hash % NHASH]; w != NULL; w = w->next)
        if (w->hash == hash && strcmp(w->text, text) == 0)
            return w;
    return NULL;
}

/* install - put in a new word */
static struct word *
install(char *text, unsigned long hash)
{
    struct word *w;

    w = room(sizeof *w);
    w->text = copy(text);
    w->hash = hash;
    w->count = 0;
    w->nplace = w->maxplace = 0;
    w->place = NULL;
    w->next = wordtab[hash % NHASH];
    wordtab[hash % NHASH] = w;
    return w;
}

/* addplace - a word occurs here */
static void
addplace(struct word *w, struct source *file, int line)
{
    struct place *last;

    w->count++;
    if (w->nplace > 0) {
        last = &w->place[w->nplace - 1];
        if (last->file == file && last->line == line)
            return;
    }
    if (w->nplace == w->maxplace) {
        w->maxplace += w->maxplace / 2 + 1;
        w->place = realloc(w->place, w->maxplace * sizeof *w->place);
        if (w->place == NULL)
            fatal("out of memory", "");
    }
    w->place[w->nplace].file = file;
    w->place[w->nplace].line = line;
    w->nplace++;
}

/* getword - copy the next word of *sp, and its hash; 0 if there is none */
static int
getword(char **sp, char *word, unsigned long *hash)
{
    char *s, *w;
    unsigned long h;

    s = *sp;
    while (*s != '\0' && !isalpha((unsigned char)*s) && *s != '_') {
        if (isdigit((unsigned char)*s)) /* 0x1f and 10L are no words */
            while (isalnum((unsigned char)*s))
                s++;
        else
            s++;
    }
    if (*s == '\0')
        return 0;
    h = 0;
    for (w = word; isalnum((unsigned char)*s) || *s == '_'; s++) {
        if (w < word + MAXWORD) {
            *w++ = *s;
            h = h * 31 + (unsigned char)*s;
        }
    }
    *w = '\0';
    *hash = h & 0xffffffffUL;
    *sp = s;
    return 1;
}

/* readsource - put the words of a file into the concordance */
static void
readsource(struct source *src, FILE *fp)
{
    static char line[MAXLINE];
    char word[MAXWORD + 1];
    char *s;
    unsigned long hash;
    struct word *w;
    int lineno;

    lineno = 1;
    while (fgets(line, MAXLINE, fp) != NULL) {
        s = line;
        while (getword(&s, word, &hash)) {
            ntokens++;
            if (word[1] == '\0')
                continue;
            w = lookup(word, hash);
            if (w == NULL) {
                w = install(word, hash);
                nwords++;
            }
            if (w->maxplace != NOISE)
                addplace(w, src, lineno);
        }
        if (strchr(s, '\n') != NULL) /* the rest of a long line, else */
            lineno++;
    }
    src->lines = lineno - 1;
}

/* addsource - a file of that name */
static void
addsource(char *name)
{
    struct source *src;
    FILE *fp;

    fp = fopen(name, "r");
    if (fp == NULL) {
        fprintf(stderr, "%s: %s: %s\n", progname, name, strerror(errno));
        return;
    }
    src = room(sizeof *src);
    src->name = copy(name);
    src->number = ++nsources;
    src->next = sources;
    sources = src;
    readsource(src, fp);
    fclose(fp);
}

/* addlist - all files named in a list */
static void
addlist(char *list)
{
    char name[MAXLINE];
    char *end;
    FILE *fp;

    fp = fopen(list, "r");
    if (fp == NULL)
        fatal("cannot open ", list);
    while (fgets(name, MAXLINE, fp) != NULL) {
        end = strchr(name, '\n');
        if (end != NULL)
            *end = '\0';
        if (name[0] != '\0')
            addsource(name);
    }
    fclose(fp);
}

/* startagain - with nothing but the noise */
static void
startagain(void)
{
    char word[MAXWORD + 1];
    char *s;
    unsigned long hash;
    int i;

    for (i = 0; i < NHASH; i++)
        wordtab[i] = NULL;
    sources = NULL;
    nsources = 0;
    nwords = ntokens = 0;
    for (s = strtok(copy(noise), " "); s != NULL; s = strtok(NULL, " ")) {
        getword(&s, word, &hash);
        install(word, hash)->maxplace = NOISE;
    }
}

static int
compare(const void *a, const void *b)
{
    struct word *const *v = a;
    struct word *const *w = b;

    return strcmp((*v)->text, (*w)->text);
}

/* sorted - all words in order, NULL after the last */
static struct word **
sorted(void)
{
    struct word **list;
    struct word *w;
    long n;
    int i;

    list = room((nwords + 1) * sizeof *list);
    n = 0;
    for (i = 0; i < NHASH; i++)
        for (w = wordtab[i]; w != NULL; w = w->next)
            if (w->maxplace != NOISE)
                list[n++] = w;
    list[n] = NULL;
    qsort(list, n, sizeof *list, compare);
    return list;
}

/* printsources - the files, by number */
static void
printsources(FILE *out)
{
    struct source **list;
    struct source *src;
    int i;

    list = calloc(nsources + 1, sizeof *list);
    if (list == NULL)
        fatal("out of memory", "");
    for (src = sources; src != NULL; src = src->next)
        list[src->number - 1] = src;
    for (i = 0; i < nsources; i++)
        fprintf(out, "%d\t%s\t%ld\n", list[i]->number, list[i]->name,
                list[i]->lines);
}

/* printword - a word and its first places; the sum is over all of them */
static unsigned long
printword(FILE *out, struct word *w, unsigned long sum)
{
    struct place *p;
    int i;

    sum = (sum * 31 + w->hash + w->count) & 0xffffffffUL;
    fprintf(out, "%s\t%ld\t", w->text, w->count);
    for (i = 0; i < w->nplace; i++) {
        p = &w->place[i];
        if (i < MAXSHOW)
            fprintf(out, " %d:%d", p->file->number, p->line);
        sum = (sum * 31 + p->file->number) & 0xffffffffUL;
        sum = (sum * 31 + p->line) & 0xffffffffUL;
    }
    fprintf(out, i > MAXSHOW ? " ...\n" : "\n");
    return sum;
}

static void
print(FILE *out)
{
    struct word **list;
    unsigned long sum;

    printsources(out);
    sum = 0;
    for (list = sorted(); *list != NULL; list++)
        sum = printword(out, *list, sum);
    fprintf(out, "%d files, %ld words, %ld different, checksum %08lx\n",
            nsources, ntokens, nwords, sum);
    if (fflush(out) != 0 || ferror(out))
        fatal("cannot write the output", "");
}

static void
usage(void)
{
    fprintf(stderr, "usage: %s [-n times] [-o output] [-f list] [file ...]\n",
            progname);
    exit(2);
}

int
main(int argc, char **argv)
{
    char *list = NULL;
    FILE *out = stdout;
    int times = 1;
    int c, i, pass;

    while ((c = getopt(argc, argv, "f:n:o:")) != -1) {
        if (c == 'f')
            list = optarg;
        else if (c == 'n')
            times = atoi(optarg);
        else if (c == 'o') {
            out = fopen(optarg, "w");
            if (out == NULL)
                fatal("cannot write ", optarg);
        } else
            usage();
    }
    if (times < 1 || (list == NULL && optind == argc))
        usage();

    for (pass = 1; pass <= times; pass++) {
        startagain();
        if (list != NULL)
            addlist(list);
        for (i = optind; i < argc; i++)
            addsource(argv[i]);
        fprintf(stderr, "pass %d of %d: %d files, %ld words\n", pass, times,
                nsources, ntokens);
    }
    print(out);
    return 0;
}
