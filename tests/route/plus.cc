// plus.cc - C++ that uses malloc, too.  Not renamed are new and delete.

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

extern "C" int is_ours(void *block);

int
main()
{
    std::map<std::string, std::vector<char *>> words;
    auto *text = static_cast<char *>(std::malloc(100));
    char *copy = strdup("copied");

    if (!is_ours(text) || !is_ours(copy))
        return 1;
    for (int i = 0; i < 1000; i++)
        words[std::string(static_cast<size_t>(i % 50), 'x')].push_back(
            strdup("word"));
    for (auto &entry : words)
        for (char *word : entry.second)
            std::free(word);
    std::free(copy);
    text = static_cast<char *>(std::realloc(text, 5000));
    std::free(text);
    return words.size() == 50 ? 0 : 2;
}
