"""The C declarations that Oru'el uses, copied from llama.cpp b11549: `include/llama.h` and `ggml/include/*.h`.

Structs are declared completely, since their layout is the ABI. Pointers that Python never dereferences are `void *`.
"""

XLLAMACPP_VERSION = "2026.10.11549"
LLAMA_VERSION = "0.6.0-dev"
GGML_VERSION = "0.26.0"

MAX_SEQUENCES = 256  # LLAMA_MAX_SEQ, src/llama-cparams.h

VOCABULARY_NONE = 0
VOCABULARY_BYTE_PAIRS = 2

TOKEN_CONTROL = 1 << 3
TOKEN_USER_DEFINED = 1 << 4

LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_CONTINUED = 1, 2, 3, 4, 5

# The values that this version's `default_params` functions return. A build with another layout has other values at some
# of these offsets. Other versions lack the field `moe_cache_size`.
MODEL_DEFAULTS = {
    "n_gpu_layers": -1,
    "split_mode": 1,
    "load_mode": -1,
    "lazy_mode": 1,
    "main_gpu": 0,
    "vocab_only": False,
    "use_extra_bufts": True,
    "no_host": False,
    "no_alloc": False,
    "load_mtp": False,
}
CONTEXT_DEFAULTS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_outputs_max": 0,
    "n_outputs_max_per_seq": 1,
    "n_threads": 4,
    "rope_scaling_type": -1,
    "flash_attn_type": -1,
    "yarn_beta_slow": -1.0,
    "yarn_orig_ctx": 0,
    "defrag_thold": -1.0,
    "type_k": 1,
    "type_v": 1,
    "moe_cache_size": 0,
    "embeddings": False,
    "offload_kqv": True,
    "no_perf": True,
    "op_offload": True,
    "swa_full": True,
    "kv_unified": False,
    "n_samplers": 0,
}

# The instruction sets that ggml can be compiled for, and their flags in /proc/cpuinfo. These functions return
# compile-time options and are safe to call on any CPU.
CPU_FEATURES = {
    "ggml_cpu_has_sse3": "pni",
    "ggml_cpu_has_ssse3": "ssse3",
    "ggml_cpu_has_avx": "avx",
    "ggml_cpu_has_avx2": "avx2",
    "ggml_cpu_has_avx_vnni": "avx_vnni",
    "ggml_cpu_has_avx512": "avx512f",
    "ggml_cpu_has_avx512_vbmi": "avx512vbmi",
    "ggml_cpu_has_avx512_vnni": "avx512_vnni",
    "ggml_cpu_has_avx512_bf16": "avx512_bf16",
    "ggml_cpu_has_amx_int8": "amx_int8",
    "ggml_cpu_has_bmi2": "bmi2",
    "ggml_cpu_has_f16c": "f16c",
    "ggml_cpu_has_fma": "fma",
}

DECLARATIONS = """
struct llama_model_params {
    void * devices;
    const void * tensor_buft_overrides;
    int32_t n_gpu_layers;
    int32_t split_mode;
    int32_t load_mode;
    int32_t lazy_mode;
    int32_t main_gpu;
    const float * tensor_split;
    void * progress_callback;
    void * progress_callback_user_data;
    const void * kv_overrides;
    bool vocab_only;
    bool check_tensors;
    bool use_extra_bufts;
    bool no_host;
    bool no_alloc;
    bool load_mtp;
};

struct llama_context_params {
    uint32_t n_ctx;
    uint32_t n_batch;
    uint32_t n_ubatch;
    uint32_t n_seq_max;
    uint32_t n_rs_seq;
    uint32_t n_outputs_max;
    uint32_t n_outputs_max_per_seq;
    int32_t  n_threads;
    int32_t  n_threads_batch;
    int32_t ctx_type;
    int32_t rope_scaling_type;
    int32_t pooling_type;
    int32_t attention_type;
    int32_t flash_attn_type;
    float    rope_freq_base;
    float    rope_freq_scale;
    float    yarn_ext_factor;
    float    yarn_attn_factor;
    float    yarn_beta_fast;
    float    yarn_beta_slow;
    uint32_t yarn_orig_ctx;
    float    defrag_thold;
    void * cb_eval;
    void * cb_eval_user_data;
    int32_t type_k;
    int32_t type_v;
    size_t moe_cache_size;
    void * abort_callback;
    void * abort_callback_data;
    bool embeddings;
    bool offload_kqv;
    bool no_perf;
    bool op_offload;
    bool swa_full;
    bool kv_unified;
    void * samplers;
    size_t n_samplers;
    void * ctx_other;
};

/* The library may be of another layout until it is checked: room for defaults longer than those declared. */
struct model_defaults {
    struct llama_model_params params;
    char room[512];
};

struct context_defaults {
    struct llama_context_params params;
    char room[512];
};

typedef struct llama_batch {
    int32_t n_tokens;
    int32_t * token;
    float   * embd;
    int32_t * pos;
    int32_t * n_seq_id;
    int32_t ** seq_id;
    int8_t  * logits;
} llama_batch;

typedef void (*ggml_log_callback)(int32_t level, const char * text, void * user_data);

int ggml_cpu_has_sse3(void);
int ggml_cpu_has_ssse3(void);
int ggml_cpu_has_avx(void);
int ggml_cpu_has_avx2(void);
int ggml_cpu_has_avx_vnni(void);
int ggml_cpu_has_avx512(void);
int ggml_cpu_has_avx512_vbmi(void);
int ggml_cpu_has_avx512_vnni(void);
int ggml_cpu_has_avx512_bf16(void);
int ggml_cpu_has_amx_int8(void);
int ggml_cpu_has_bmi2(void);
int ggml_cpu_has_f16c(void);
int ggml_cpu_has_fma(void);

const char * ggml_version(void);
const char * llama_version(void);
void llama_log_set(ggml_log_callback log_callback, void * user_data);
void llama_backend_init(void);
bool llama_supports_gpu_offload(void);

struct model_defaults llama_model_default_params(void);
struct context_defaults llama_context_default_params(void);

struct llama_model * llama_model_load_from_file(const char * path_model, struct llama_model_params params);
void llama_model_free(struct llama_model * model);
const struct llama_vocab * llama_model_get_vocab(const struct llama_model * model);
int32_t llama_model_meta_val_str(const struct llama_model * model, const char * key, char * buf, size_t buf_size);
const char * llama_model_chat_template(const struct llama_model * model, const char * name);
bool llama_model_has_encoder(const struct llama_model * model);
bool llama_model_has_decoder(const struct llama_model * model);
bool llama_model_is_recurrent(const struct llama_model * model);
bool llama_model_is_hybrid(const struct llama_model * model);
bool llama_model_is_diffusion(const struct llama_model * model);

int32_t llama_vocab_type(const struct llama_vocab * vocab);
int32_t llama_vocab_n_tokens(const struct llama_vocab * vocab);
const char * llama_vocab_get_text(const struct llama_vocab * vocab, int32_t token);
int32_t llama_vocab_get_attr(const struct llama_vocab * vocab, int32_t token);
bool llama_vocab_is_eog(const struct llama_vocab * vocab, int32_t token);
int32_t llama_vocab_bos(const struct llama_vocab * vocab);
int32_t llama_vocab_eos(const struct llama_vocab * vocab);
bool llama_vocab_get_add_bos(const struct llama_vocab * vocab);
int32_t llama_tokenize(const struct llama_vocab * vocab, const char * text, int32_t text_len, int32_t * tokens,
                       int32_t n_tokens_max, bool add_special, bool parse_special);
int32_t llama_token_to_piece(const struct llama_vocab * vocab, int32_t token, char * buf, int32_t length,
                             int32_t lstrip, bool special);

struct llama_context * llama_init_from_model(struct llama_model * model, struct llama_context_params params);
void llama_free(struct llama_context * ctx);
uint32_t llama_n_ctx(const struct llama_context * ctx);
uint32_t llama_n_batch(const struct llama_context * ctx);
void * llama_get_memory(const struct llama_context * ctx);
void llama_memory_seq_cp(void * mem, int32_t seq_id_src, int32_t seq_id_dst, int32_t p0, int32_t p1);
bool llama_memory_seq_rm(void * mem, int32_t seq_id, int32_t p0, int32_t p1);
int32_t llama_decode(struct llama_context * ctx, struct llama_batch batch);
void llama_set_n_threads(struct llama_context * ctx, int32_t n_threads, int32_t n_threads_batch);
void llama_synchronize(struct llama_context * ctx);
float * llama_get_logits(struct llama_context * ctx);
"""
