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

bool
arenap_linkage_replace(const void *inside, const char *name, void *function)
{
    struct link_map *module = NULL;
    struct linkage l;
    Dl_info info;
    bool found = false;

    if (dladdr1(inside, &info, (void **)&module, RTLD_DL_LINKMAP) == 0
        || module == NULL)
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
