// SPDX-License-Identifier: Apache-2.0
// What this process consists of: its binaries, the OpenMP runtime it loaded, its rounding state.
#ifndef AB_PROCESS_H
#define AB_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* The linker's build ids (NT_GNU_BUILD_ID) of the program and, where it is linked to a shared
 * libattrbench, of that too, joined by "+". False, "": linked without. */
bool ab_process_build_id(char *text, size_t size);

/* The file name of the OpenMP runtime that is loaded, such as "libgomp.so.1"; false, "": none by a
 * known name. */
bool ab_process_openmp(char *text, size_t size);

/* The floating-point control register: "mxcsr 0x1f80", "fpcr 0x0"; flags of what has happened
 * are left out. False, "": not known for this architecture. */
bool ab_process_control_word(char *text, size_t size);

#endif
