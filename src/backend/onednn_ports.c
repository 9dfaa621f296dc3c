// SPDX-License-Identifier: Apache-2.0
// Arguments of a oneDNN primitive, copied to the layout that it wants and back.
#include "backend/onednn_ports.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static void note(struct ab_ports *p, dnnl_status_t status)
{
    if (!p->status) p->status = status;
}

bool ab_ports_open(struct ab_ports *p)
{
    *p = (struct ab_ports){.threads = omp_get_max_threads()};
    if (dnnl_engine_create(&p->engine, dnnl_cpu, 0)) return false;
    /* Scratch space that the primitive held itself would be shared by concurrent calls. */
    if (dnnl_primitive_attr_create(&p->attr) ||
        dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user)) {
        dnnl_primitive_attr_destroy(p->attr);
        dnnl_engine_destroy(p->engine);
        return false;
    }
    omp_set_num_threads(1);
    return true;
}

ab_md *ab_ports_md(struct ab_ports *p, int ndims, const dnnl_dims_t dims, dnnl_format_tag_t tag)
{
    if (p->status) return NULL;
    ab_md *md = ab_md_tag(ndims, dims, dnnl_f32, tag);
    if (md) p->mds[p->n_mds++] = md;
    if (!md) note(p, dnnl_out_of_memory);
    return md;
}

void ab_ports_hint(struct ab_ports *p, struct ab_onednn_op *op)
{
    op->attr = p->attr;
    if (!p->status) note(p, ab_onednn_pd(&p->hint, p->engine, op));
    op->hint = p->hint;
}

void ab_ports_make(struct ab_ports *p, struct ab_onednn_op *op)
{
    op->attr = p->attr;
    if (!p->status) note(p, ab_onednn_pd(&p->pd, p->engine, op));
}

/* Fresh memory holds NaNs: what is read before it is written shows. */
static void *fresh(struct ab_ports *p, const ab_md *md)
{
    const size_t bytes = (dnnl_memory_desc_get_size(md) + 63) & ~(size_t)63;
    void *data = bytes ? aligned_alloc(64, bytes) : NULL;
    if (data) memset(data, 0xff, bytes);
    if (!data && bytes) note(p, dnnl_out_of_memory);
    return data;
}

static void bind(struct ab_ports *p, int id, const ab_md *user, void *data, bool out)
{
    if (p->status) return;
    const ab_md *want = dnnl_primitive_desc_query_md(p->pd, dnnl_query_exec_arg_md, id);
    struct ab_port *port = &p->port[p->n++];
    port->id = id;
    port->out = out;
    port->user = user;
    note(p, dnnl_memory_create(&port->theirs, user, p->engine, data));
    if (p->status || dnnl_memory_desc_equal(user, want)) return;
    port->buffer = fresh(p, want);
    if (!p->status) note(p, dnnl_memory_create(&port->own, want, p->engine, port->buffer));
}

void ab_ports_in(struct ab_ports *p, int id, const ab_md *user, const void *data)
{
    bind(p, id, user, (void *)(uintptr_t)data, false);
}

void ab_ports_out(struct ab_ports *p, int id, const ab_md *user, void *data)
{
    bind(p, id, user, data, true);
}

/* ---- switches ---- */

/* The integers of a workspace are bytes where the window has no more taps than they can tell. */
static void convert(const struct ab_port *port)
{
    const bool bytes = ab_md_type(port->user) == dnnl_u8;
    uint8_t *narrow = port->integers;
    int32_t *wide = port->integers;
    for (size_t i = 0; i < port->count; i++) {
        if (port->out) {
            port->switches[i] = (uint16_t)(bytes ? narrow[i] : wide[i]);
        } else if (bytes) {
            narrow[i] = (uint8_t)port->switches[i];
        } else {
            wide[i] = port->switches[i];
        }
    }
}

void ab_ports_switches(struct ab_ports *p, const dnnl_dims_t dims, uint16_t *switches, bool out)
{
    if (p->status) return;
    const ab_md *want = dnnl_primitive_desc_query_md(p->pd, dnnl_query_workspace_md, 0);
    ab_md *user = ab_md_tag(4, dims, ab_md_type(want), dnnl_abcd);
    if (!user) {
        note(p, dnnl_out_of_memory);
        return;
    }
    p->mds[p->n_mds++] = user;
    void *integers = fresh(p, user);
    struct ab_port *port = &p->port[p->n];
    bind(p, DNNL_ARG_WORKSPACE, user, integers, out);
    port->integers = integers;
    port->switches = switches;
    port->count = (size_t)(dims[0] * dims[1] * dims[2] * dims[3]);
    if (!p->status && !out) convert(port);
}

/* ---- running ---- */

static void move(struct ab_ports *p, dnnl_stream_t stream, dnnl_memory_t from, const ab_md *from_md,
                 dnnl_memory_t to, const ab_md *to_md)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t prim = NULL;
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    note(p, dnnl_reorder_primitive_desc_create(&pd, from_md, p->engine, to_md, p->engine, NULL));
    if (!p->status) note(p, dnnl_primitive_create(&prim, pd));
    if (!p->status) note(p, dnnl_primitive_execute(prim, stream, 2, args));
    dnnl_primitive_destroy(prim);
    dnnl_primitive_desc_destroy(pd);
}

static void move_all(struct ab_ports *p, dnnl_stream_t stream, bool out)
{
    for (int i = 0; i < p->n && !p->status; i++) {
        struct ab_port *port = &p->port[i];
        if (port->out != out || !port->own) continue;
        const ab_md *own = dnnl_primitive_desc_query_md(p->pd, dnnl_query_exec_arg_md, port->id);
        if (out) {
            move(p, stream, port->own, own, port->theirs, port->user);
        } else {
            move(p, stream, port->theirs, port->user, port->own, own);
        }
    }
}

static void execute(struct ab_ports *p, dnnl_stream_t stream)
{
    dnnl_primitive_t prim = NULL;
    dnnl_memory_t scratch = NULL;
    dnnl_exec_arg_t args[AB_PORTS + 1];
    int n = 0;
    for (; n < p->n; n++) {
        const struct ab_port *port = &p->port[n];
        args[n] = (dnnl_exec_arg_t){port->id, port->own ? port->own : port->theirs};
    }
    const ab_md *md = dnnl_primitive_desc_query_md(p->pd, dnnl_query_scratchpad_md, 0);
    void *work = fresh(p, md);
    if (work) {
        note(p, dnnl_memory_create(&scratch, md, p->engine, work));
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, scratch};
    }
    if (!p->status) note(p, dnnl_primitive_create(&prim, p->pd));
    move_all(p, stream, false);
    if (!p->status) note(p, dnnl_primitive_execute(prim, stream, n, args));
    move_all(p, stream, true);
    if (!p->status) note(p, dnnl_stream_wait(stream));
    dnnl_primitive_destroy(prim);
    dnnl_memory_destroy(scratch);
    free(work);
}

static void release(struct ab_ports *p)
{
    for (int i = 0; i < p->n; i++) {
        dnnl_memory_destroy(p->port[i].theirs);
        dnnl_memory_destroy(p->port[i].own);
        free(p->port[i].buffer);
        free(p->port[i].integers);
    }
    dnnl_primitive_desc_destroy(p->pd);
    dnnl_primitive_desc_destroy(p->hint);
    dnnl_primitive_attr_destroy(p->attr);
    for (int i = 0; i < p->n_mds; i++) ab_md_free(p->mds[i]);
    dnnl_engine_destroy(p->engine);
    omp_set_num_threads(p->threads);
}

int ab_ports_run(struct ab_ports *p)
{
    const bool refused =
        !p->pd && (p->status == dnnl_unimplemented || p->status == dnnl_invalid_arguments);
    dnnl_stream_t stream = NULL;
    if (!p->status) note(p, dnnl_stream_create(&stream, p->engine, dnnl_stream_default_flags));
    if (!p->status) execute(p, stream);
    for (int i = 0; i < p->n && !p->status; i++)
        if (p->port[i].switches && p->port[i].out) convert(&p->port[i]);
    dnnl_stream_destroy(stream);
    release(p);
    if (refused) return AB_VERIFY_UNSUPPORTED;
    return p->status ? AB_VERIFY_FAILED : AB_VERIFY_DONE;
}
