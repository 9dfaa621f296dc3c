// SPDX-License-Identifier: Apache-2.0
// The nearest name to a mistyped word; lists whose entries have lists in parentheses.
#include "base/base.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 63 }; /* no name in any list is longer; longer words match nothing */

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours, each 1;
 * case is ignored. */
static int edit_distance(const char *a, int na, const char *b, int nb)
{
    int rows[3][LONGEST + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (int j = 0; j <= nb; j++) last[j] = j;
    for (int i = 1; i <= na; i++) {
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = least(last[j - 1] + !same, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        int *spare = before;
        before = last, last = row, row = spare;
    }
    return last[nb];
}

static bool is_prefix(const char *word, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++)
        if (lower(word[i]) != lower(name[i])) return false;
    return true;
}

const char *ab_nearest(const char *word, const char *const *names, int count)
{
    size_t length = strlen(word);
    if (length == 0 || length > LONGEST) return NULL;
    const char *best = NULL;
    int best_distance = 0;
    for (int i = 0; i < count; i++) {
        size_t n = strlen(names[i]);
        if (n > LONGEST) continue;
        int distance = edit_distance(word, (int)length, names[i], (int)n);
        /* Near: a third of the longer word is wrong at most, or an abbreviation of two letters or
         * more, which ranks behind every word with a single slip. */
        bool near = distance <= (int)(length > n ? length : n) / 3;
        if (!near && length >= 2 && length < n && is_prefix(word, length, names[i]))
            near = true, distance = 2;
        if (near && (!best || distance < best_distance)) best = names[i], best_distance = distance;
    }
    return best;
}

/* The length of a group that begins with an opening parenthesis, with the closing one; 0 if that is
 * missing. */
static size_t group_length(const char *text)
{
    int depth = 0;
    for (size_t i = 0; text[i]; i++) {
        depth += (text[i] == '(') - (text[i] == ')');
        if (depth == 0) return i + 1;
    }
    return 0;
}

size_t ab_span(const char *text, const char *stops)
{
    size_t at = 0;
    while (text[at] && !strchr(stops, text[at])) {
        const size_t group = text[at] == '(' ? group_length(text + at) : 0;
        at += group ? group : 1;
    }
    return at;
}
