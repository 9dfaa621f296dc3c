// SPDX-License-Identifier: Apache-2.0
// One oneDNN primitive, run once on arrays of the caller: it is asked for, its arguments are bound,
// it runs, all is freed. After a failure the functions do nothing and ab_ports_run tells.
#ifndef AB_ONEDNN_PORTS_H
#define AB_ONEDNN_PORTS_H

#include "attrbench/verify.h"
#include "backend/onednn_compat.h"

#include <stddef.h>
#include <stdint.h>

/* Where an argument comes from or goes to: as the caller has it, and, where that differs, as the
 * primitive wants it, in memory of its own. */
struct ab_port {
    int id;
    bool out;
    const ab_md *user;
    dnnl_memory_t theirs, own; /* theirs: the caller's. own: NULL where that serves */
    void *buffer, *integers;
    uint16_t *switches; /* the caller's [count], or NULL: integers holds them converted */
    size_t count;
};

enum { AB_PORTS = 6, AB_PORT_MDS = 12 };

struct ab_ports {
    dnnl_status_t status;
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t hint, pd;
    ab_md *mds[AB_PORT_MDS];
    int n_mds;
    struct ab_port port[AB_PORTS];
    int n;
    int threads; /* to be restored */
};

/* False: out of memory; nothing is held. Until ab_ports_run, which must follow, the calling thread
 * works alone in OpenMP. */
bool ab_ports_open(struct ab_ports *p);
/* A descriptor of floats, freed by ab_ports_run. */
ab_md *ab_ports_md(struct ab_ports *p, int ndims, const dnnl_dims_t dims, dnnl_format_tag_t tag);
/* Makes the forward primitive that op describes the hint of op, about to become a backward one. */
void ab_ports_hint(struct ab_ports *p, struct ab_onednn_op *op);
void ab_ports_make(struct ab_ports *p, struct ab_onednn_op *op);
void ab_ports_in(struct ab_ports *p, int id, const ab_md *user, const void *data);
void ab_ports_out(struct ab_ports *p, int id, const ab_md *user, void *data);
/* The workspace of max-pooling as 16-bit taps. */
void ab_ports_switches(struct ab_ports *p, const dnnl_dims_t dims, uint16_t *switches, bool out);
/* Runs and frees; what an ab_verify_kernel returns. UNSUPPORTED: oneDNN would not make it. */
int ab_ports_run(struct ab_ports *p);

#endif
