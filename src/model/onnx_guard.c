// SPDX-License-Identifier: Apache-2.0
// Walks protobuf's wire format along the message fields of onnx.proto, with limits on depth and
// number. Field contents are left to protobuf-c.
#include "model/onnx_guard.h"

enum {
    DEPTH_LIMIT = 64,      /* a subgraph is three deep; ONNX files in use stay below 20 */
    FIELD_LIMIT = 1 << 22, /* a layer takes some 40; at 150 bytes each below 1 GiB in memory */
};

enum message {
    NONE, /* not a message, or one without messages in it that matter */
    MODEL,
    GRAPH,
    NODE,
    ATTRIBUTE,
    TENSOR,
    SPARSE,
    VALUE_INFO,
    TYPE,
    ELEMENT, /* TypeProto.Sequence, .Optional: a type in field 1 */
    MAP,     /* a type in field 2 */
    TRAINING,
    FUNCTION
};

/* Field `number` of message `of` is a message `is`. */
static const struct edge {
    enum message of;
    unsigned number;
    enum message is;
} edges[] = {
    {MODEL, 7, GRAPH},       {MODEL, 20, TRAINING},   {MODEL, 25, FUNCTION},
    {GRAPH, 1, NODE},        {GRAPH, 5, TENSOR},      {GRAPH, 15, SPARSE},
    {GRAPH, 11, VALUE_INFO}, {GRAPH, 12, VALUE_INFO}, {GRAPH, 13, VALUE_INFO},
    {NODE, 5, ATTRIBUTE},    {ATTRIBUTE, 5, TENSOR},  {ATTRIBUTE, 6, GRAPH},
    {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},  {ATTRIBUTE, 14, TYPE},
    {ATTRIBUTE, 15, TYPE},   {ATTRIBUTE, 22, SPARSE}, {ATTRIBUTE, 23, SPARSE},
    {SPARSE, 1, TENSOR},     {SPARSE, 2, TENSOR},     {VALUE_INFO, 2, TYPE},
    {TYPE, 4, ELEMENT},      {TYPE, 9, ELEMENT},      {TYPE, 5, MAP},
    {ELEMENT, 1, TYPE},      {MAP, 2, TYPE},          {TRAINING, 1, GRAPH},
    {TRAINING, 2, GRAPH},    {FUNCTION, 7, NODE},
};

static enum message child(enum message of, uint64_t number)
{
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        if (edges[i].of == of && edges[i].number == number) return edges[i].is;
    return NONE;
}

struct walk {
    const unsigned char *bytes;
    size_t at;
    size_t fields;
};

static bool varint(struct walk *w, size_t end, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (w->at >= end) return false;
        unsigned char byte = w->bytes[w->at++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static const char cut[] = "it is damaged or cut short";

static const char *message(struct walk *w, enum message of, size_t end, int depth);

static const char *field(struct walk *w, enum message of, size_t end, int depth)
{
    uint64_t key, length;
    if (!varint(w, end, &key)) return cut;
    switch (key & 7) {
    case 0: return varint(w, end, &length) ? NULL : cut;
    case 1: length = 8; break;
    case 5: length = 4; break;
    case 2:
        if (!varint(w, end, &length)) return cut;
        break;
    default: return "it is damaged";
    }
    if (length > end - w->at) return cut;
    enum message is = (key & 7) == 2 ? child(of, key >> 3) : NONE;
    if (is != NONE) return message(w, is, w->at + (size_t)length, depth + 1);
    w->at += (size_t)length;
    return NULL;
}

static const char *message(struct walk *w, enum message of, size_t end, int depth)
{
    if (depth > DEPTH_LIMIT) return "its messages nest too deeply";
    while (w->at < end) {
        if (++w->fields > FIELD_LIMIT) return "it has more parts than any network";
        const char *wrong = field(w, of, end, depth);
        if (wrong) return wrong;
    }
    return NULL;
}

const char *ab_onnx_guard(const unsigned char *bytes, size_t size, size_t *at)
{
    struct walk w = {.bytes = bytes};
    const char *wrong = message(&w, MODEL, size, 0);
    *at = w.at;
    return wrong;
}
