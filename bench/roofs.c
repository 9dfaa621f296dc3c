// SPDX-License-Identifier: Apache-2.0
// What caches and memory deliver, in the context of runs whose rows are held against it.
#include "record.h"

#include "bandwidth.h"
#include "pin.h"

void ab_context_put_roofs(json_t *context, const struct ab_machine *machine)
{
    /* Half of a cache: it holds that much of one array surely. Memory: far more than any holds. */
    const struct {
        const char *name;
        long bytes;
    } levels[] = {{"L1", machine->l1d / 2},
                  {"L2", machine->l2 / 2},
                  {"L3", machine->l3 / 2},
                  {"memory", 384L << 20}};
    json_t *cpu = json_object_get(context, "cpu"), *list = json_object();
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const double gbs = levels[i].bytes > 0 ? ab_bandwidth_gbs((size_t)levels[i].bytes) : 0;
        if (gbs > 0) json_object_set_new(list, levels[i].name, json_real(gbs));
    }
    json_object_set_new(cpu, "read_bandwidth_gbs", list);
}
