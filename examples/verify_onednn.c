// SPDX-License-Identifier: Apache-2.0
// How to have a library of one's own judged by `attrbench verify`: here oneDNN's convolution, by
// its public C API alone, versions 2 and 3. Nothing of attrbench is linked, its header suffices:
//
//     cc -shared -fPIC verify_onednn.c $(pkg-config --cflags attrbench) -ldnnl -o verify_onednn.so
//     attrbench verify --plugin ./verify_onednn.so
//
// What is to be done: (1) a function for each kernel, which takes its operation's struct of
// attrbench/verify.h and fills its dst; (2) a table of them; (3) ab_verify_plugin(), which returns
// it.
#include <attrbench/verify.h>

#include <oneapi/dnnl/dnnl.h>
#include <stdint.h>

/* Descriptors of memory are values in oneDNN 2 and opaque in oneDNN 3. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t desc;
typedef dnnl_memory_desc_t desc_argument;
#define describe       dnnl_memory_desc_create_with_tag
#define AS_ARGUMENT(d) (d)
#define FORGET(d)      (void)((d) && dnnl_memory_desc_destroy(d))
#else
typedef dnnl_memory_desc_t desc;
typedef const dnnl_memory_desc_t *desc_argument;
#define describe       dnnl_memory_desc_init_by_tag
#define AS_ARGUMENT(d) (&(d))
#define FORGET(d)      (void)(d)
#endif

/* All that a call makes, in one place, so that one function frees it. */
struct call {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    desc src, wei, bias, dst; /* of the forward pass, whichever is computed */
    dnnl_primitive_desc_t forward, backward;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[4];
    dnnl_exec_arg_t args[4];
    int n_args;
};

static dnnl_status_t describe_all(struct call *c, const struct ab_verify_conv2d *a)
{
    const dnnl_dims_t src = {a->n, a->ic, a->ih, a->iw}, dst = {a->n, a->oc, a->oh, a->ow};
    const dnnl_dims_t wei = {a->g, a->oc / a->g, a->ic / a->g, a->kh, a->kw}, bias = {a->oc};
    const dnnl_dims_t one_group = {a->oc, a->ic, a->kh, a->kw};
    dnnl_status_t status = describe(&c->src, 4, src, dnnl_f32, dnnl_nchw);
    if (!status) status = describe(&c->dst, 4, dst, dnnl_f32, dnnl_nchw);
    if (!status) status = describe(&c->bias, 1, bias, dnnl_f32, dnnl_a);
    if (status) return status;
    return a->g == 1 ? describe(&c->wei, 4, one_group, dnnl_f32, dnnl_oihw)
                     : describe(&c->wei, 5, wei, dnnl_f32, dnnl_goihw);
}

/* Asks for the primitives. oneDNN counts dilation from 0, attrbench from 1. */
static dnnl_status_t ask(struct call *c, const struct ab_verify_conv2d *a)
{
    const dnnl_dims_t strides = {a->sh, a->sw}, dilates = {a->dh - 1, a->dw - 1};
    const dnnl_dims_t before = {a->pt, a->pl}, after = {a->pb, a->pr};
    const desc_argument src = AS_ARGUMENT(c->src), wei = AS_ARGUMENT(c->wei);
    const desc_argument bias = a->bias ? AS_ARGUMENT(c->bias) : NULL, dst = AS_ARGUMENT(c->dst);
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnnl_status_t status;
#if DNNL_VERSION_MAJOR >= 3
    status = dnnl_convolution_forward_primitive_desc_create(
        &c->forward, c->engine, dnnl_forward_training, alg, src, wei, bias, dst, strides, dilates,
        before, after, NULL);
    if (status || !a->backward) return status;
    return dnnl_convolution_backward_data_primitive_desc_create(&c->backward, c->engine, alg, src,
                                                                wei, dst, strides, dilates, before,
                                                                after, c->forward, NULL);
#else
    dnnl_convolution_desc_t d;
    status = dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training, alg, src, wei,
                                                        bias, dst, strides, dilates, before, after);
    if (!status) status = dnnl_primitive_desc_create(&c->forward, &d, NULL, c->engine, NULL);
    if (status || !a->backward) return status;
    status = dnnl_dilated_convolution_backward_data_desc_init(&d, alg, src, wei, dst, strides,
                                                              dilates, before, after);
    if (status) return status;
    return dnnl_primitive_desc_create(&c->backward, &d, NULL, c->engine, c->forward);
#endif
}

/* Binds the caller's array to an argument. oneDNN takes no pointers to const. */
static dnnl_status_t bind(struct call *c, int id, const desc *d, const float *data)
{
    const dnnl_status_t status = dnnl_memory_create(&c->memory[c->n_args], AS_ARGUMENT(*d),
                                                    c->engine, (void *)(uintptr_t)data);
    c->args[c->n_args] = (dnnl_exec_arg_t){id, c->memory[c->n_args]};
    c->n_args += !status;
    return status;
}

static dnnl_status_t run(struct call *c, const struct ab_verify_conv2d *a)
{
    const int in = a->backward ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC;
    const int out = a->backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST;
    dnnl_status_t status = dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags);
    if (!status) status = bind(c, in, a->backward ? &c->dst : &c->src, a->src);
    if (!status) status = bind(c, out, a->backward ? &c->src : &c->dst, a->dst);
    if (!status) status = bind(c, DNNL_ARG_WEIGHTS, &c->wei, a->wei);
    if (!status && a->bias) status = bind(c, DNNL_ARG_BIAS, &c->bias, a->bias);
    if (!status)
        status = dnnl_primitive_create(&c->primitive, a->backward ? c->backward : c->forward);
    if (!status) status = dnnl_primitive_execute(c->primitive, c->stream, c->n_args, c->args);
    return status ? status : dnnl_stream_wait(c->stream);
}

static void clean(struct call *c)
{
    dnnl_primitive_destroy(c->primitive);
    dnnl_primitive_desc_destroy(c->backward);
    dnnl_primitive_desc_destroy(c->forward);
    for (int i = 0; i < c->n_args; i++) dnnl_memory_destroy(c->memory[i]);
    FORGET(c->src);
    FORGET(c->wei);
    FORGET(c->bias);
    FORGET(c->dst);
    dnnl_stream_destroy(c->stream);
    dnnl_engine_destroy(c->engine);
}

/* The kernel. It is called with many shapes, in several threads at once, each time with all that
 * it needs: nothing is kept between calls, since oneDNN itself remembers compiled code. */
static int conv2d(const void *args)
{
    const struct ab_verify_conv2d *a = args;
    struct call c = {0};
    dnnl_status_t status = dnnl_engine_create(&c.engine, dnnl_cpu, 0);
    if (!status) status = describe_all(&c, a);
    const dnnl_status_t offered = status ? status : ask(&c, a);
    if (!offered) status = run(&c, a);
    clean(&c);
    /* A shape that oneDNN refuses is no failure, as long as it says so instead of computing. */
    if (offered == dnnl_unimplemented || offered == dnnl_invalid_arguments)
        return AB_VERIFY_UNSUPPORTED;
    return status || offered ? AB_VERIFY_FAILED : AB_VERIFY_DONE;
}

/* No `chain`: oneDNN does not say in which order it adds up, so the bound is that of any order. No
 * `amplification`: dnnl_convolution_direct sums plain products, unlike its Winograd. */
static const struct ab_verify_kernel kernels[] = {
    {.name = "conv2d", .operation = AB_VERIFY_CONV2D, .run = conv2d},
};

const struct ab_verify_plugin *ab_verify_plugin(void)
{
    static const struct ab_verify_plugin plugin = {AB_VERIFY_ABI, "oneDNN's convolution", kernels,
                                                   1};
    return &plugin;
}
