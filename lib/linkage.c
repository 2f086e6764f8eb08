/* linkage.c: see linkage.h. */

#include "config.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "linkage.h"

struct linkage {
    const char *names;
    const ElfW(Sym) *symbols;
    const ElfW(Rela) *slots[2]; /* of functions; of all else */
    size_t size[2];           /* in bytes */
};

static struct linkage
linkage_of(const struct link_map *module)
{
    struct linkage l = {0};

    for (const ElfW(Dyn) *d = module->l_ld; d->d_tag != DT_NULL; d++) {
        switch (d->d_tag) {
        case DT_STRTAB:
            l.names = (const char *)d->d_un.d_ptr;
            break;
        case DT_SYMTAB:
            l.symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
            break;
        case DT_JMPREL:
            l.slots[0] = (const ElfW(Rela) *)d->d_un.d_ptr;
            break;
        case DT_PLTRELSZ:
            l.size[0] = d->d_un.d_val;
            break;
        case DT_RELA:
            l.slots[1] = (const ElfW(Rela) *)d->d_un.d_ptr;
            break;
        case DT_RELASZ:
            l.size[1] = d->d_un.d_val;
            break;
        default:
            break;
        }
    }
    return l;
}

static bool
slot_set(void **slot, void *function)
{
    uintptr_t page = (uintptr_t)slot & ~(ARENA_PAGE - 1);

    /* With full RELRO the table is read-only by now. */
    if (mprotect((void *)page, ARENA_PAGE, PROT_READ | PROT_WRITE) != 0)
        return false;
    __atomic_store_n(slot, function, __ATOMIC_RELEASE);
    return true;
}

static const struct link_map *
module_of(const void *inside)
{
    struct link_map *module = NULL;
    Dl_info info;

    return dladdr1(inside, &info, (void **)&module, RTLD_DL_LINKMAP) == 0
               ? NULL
               : module;
}

bool
arenap_linkage_replace(const void *inside, const char *name, void *function)
{
    const struct link_map *module = module_of(inside);
    struct linkage l;
    bool found = false;

    if (module == NULL)
        return false;
    l = linkage_of(module);
    if (l.names == NULL || l.symbols == NULL)
        return false;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < l.size[t] / sizeof(ElfW(Rela)); i++) {
            const ElfW(Rela) *r = &l.slots[t][i];
            size_t symbol = ELF64_R_SYM(r->r_info);

            if (symbol == 0
                || strcmp(l.names + l.symbols[symbol].st_name, name) != 0)
                continue;
            if (!slot_set((void **)(module->l_addr + r->r_offset), function))
                return false;
            found = true;
        }
    return found;
}

/* --- Who refers to a library --- */

static bool
is_linked_with(const struct link_map *module, const char *names,
               const char *library)
{
    for (const ElfW(Dyn) *d = module->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_NEEDED
            && strncmp(names + d->d_un.d_val, library, strlen(library)) == 0)
            return true;
    return false;
}

static bool
refers_to(const struct linkage *l, const char *const *names)
{
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < l->size[t] / sizeof(ElfW(Rela)); i++) {
            size_t symbol = ELF64_R_SYM(l->slots[t][i].r_info);

            for (size_t n = 0; symbol != 0 && names[n] != NULL; n++)
                if (strcmp(l->names + l->symbols[symbol].st_name, names[n])
                    == 0)
                    return true;
        }
    return false;
}

const char *
arenap_linkage_user(const char *library, const char *const *names,
                    const void *but, const void *nor)
{
    const struct link_map *one = module_of(but), *other = module_of(nor);

    for (const struct link_map *m = _r_debug.r_map; m != NULL; m = m->l_next) {
        struct linkage l = linkage_of(m);

        if (m != one && m != other && l.names != NULL && l.symbols != NULL
            && is_linked_with(m, l.names, library) && refers_to(&l, names))
            return *m->l_name != '\0' ? m->l_name : "the program";
    }
    return NULL;
}

/* --- Copies of this library --- */

static int
is_other_copy(struct dl_phdr_info *module, size_t size, void *own)
{
    const char *slash = strrchr(module->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : module->dlpi_name;

    (void)size;
    if (strncmp(name, "libarena.so", strlen("libarena.so")) != 0)
        return false;
    for (size_t i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &module->dlpi_phdr[i];

        if (part->p_type == PT_LOAD
            && (uintptr_t)own - module->dlpi_addr - part->p_vaddr
                   < part->p_memsz)
            return false;
    }
    return true;
}

bool
arenap_linkage_is_twice(void)
{
    static char own; /* lies in this copy */

    return dl_iterate_phdr(is_other_copy, &own) != 0;
}
