/* A libpcap that is opened at first use.
 *
 * Every function that the Rust crate `pcap` imports is defined here and forwards to the shared library of
 * the machine. Without that library the functions fail the way libpcap itself would: with NULL or -1 and a
 * text that says what to install. Types are opaque on purpose, so that no header has to be installed. It
 * leaves out what the crate does not import; a new import shows as a link error.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

/* Hidden: libpcap's calls to its own functions must never end up here. */
#pragma GCC visibility push(hidden)

typedef struct pcap pcap_t;
typedef struct pcap_dumper pcap_dumper_t;
typedef struct pcap_if pcap_if_t;
struct bpf_program;
struct pcap_pkthdr;
struct pcap_stat;
typedef void (*pcap_handler)(unsigned char *, const struct pcap_pkthdr *, const unsigned char *);

enum { ERRBUF_SIZE = 256 }; /* PCAP_ERRBUF_SIZE */

static char missing[] = "libpcap is not installed (Debian/Ubuntu: apt-get install libpcap0.8; Fedora: dnf install libpcap)";

static int explain(char *errbuf)
{
    snprintf(errbuf, ERRBUF_SIZE, "%s", missing);
    return -1; /* PCAP_ERROR */
}

/* VALUE(type, name, parameters, arguments, what to return without the library) */
#define FUNCTIONS(VALUE, VOID)                                                                                        \
    VALUE(pcap_t *, pcap_create, (const char *d, char *e), (d, e), (explain(e), NULL))                               \
    VALUE(int, pcap_set_snaplen, (pcap_t *p, int n), (p, n), -1)                                                     \
    VALUE(int, pcap_set_promisc, (pcap_t *p, int n), (p, n), -1)                                                     \
    VALUE(int, pcap_set_timeout, (pcap_t *p, int n), (p, n), -1)                                                     \
    VALUE(int, pcap_set_buffer_size, (pcap_t *p, int n), (p, n), -1)                                                 \
    VALUE(int, pcap_set_rfmon, (pcap_t *p, int n), (p, n), -1)                                                       \
    VALUE(int, pcap_set_tstamp_type, (pcap_t *p, int n), (p, n), -1)                                                 \
    VALUE(int, pcap_set_tstamp_precision, (pcap_t *p, int n), (p, n), -1)                                            \
    VALUE(int, pcap_set_immediate_mode, (pcap_t *p, int n), (p, n), -1)                                              \
    VALUE(int, pcap_activate, (pcap_t *p), (p), -1)                                                                  \
    VALUE(pcap_t *, pcap_open_dead, (int l, int s), (l, s), NULL)                                                    \
    VALUE(pcap_t *, pcap_open_dead_with_tstamp_precision, (int l, int s, unsigned u), (l, s, u), NULL)               \
    VALUE(pcap_t *, pcap_open_offline, (const char *f, char *e), (f, e), (explain(e), NULL))                         \
    VALUE(pcap_t *, pcap_open_offline_with_tstamp_precision, (const char *f, unsigned u, char *e), (f, u, e),        \
          (explain(e), NULL))                                                                                        \
    VALUE(pcap_t *, pcap_fopen_offline, (FILE *f, char *e), (f, e), (explain(e), NULL))                              \
    VALUE(pcap_t *, pcap_fopen_offline_with_tstamp_precision, (FILE *f, unsigned u, char *e), (f, u, e),             \
          (explain(e), NULL))                                                                                        \
    VOID(pcap_close, (pcap_t *p), (p))                                                                               \
    VALUE(int, pcap_loop, (pcap_t *p, int n, pcap_handler h, unsigned char *u), (p, n, h, u), -1)                    \
    VALUE(int, pcap_dispatch, (pcap_t *p, int n, pcap_handler h, unsigned char *u), (p, n, h, u), -1)                \
    VALUE(int, pcap_next_ex, (pcap_t *p, struct pcap_pkthdr **h, const unsigned char **d), (p, h, d), -1)            \
    VOID(pcap_breakloop, (pcap_t *p), (p))                                                                           \
    VALUE(int, pcap_stats, (pcap_t *p, struct pcap_stat *s), (p, s), -1)                                             \
    VALUE(int, pcap_setfilter, (pcap_t *p, struct bpf_program *f), (p, f), -1)                                       \
    VALUE(int, pcap_setdirection, (pcap_t *p, unsigned d), (p, d), -1)                                               \
    VALUE(int, pcap_setnonblock, (pcap_t *p, int n, char *e), (p, n, e), explain(e))                                 \
    VALUE(int, pcap_sendpacket, (pcap_t *p, const unsigned char *d, int n), (p, d, n), -1)                           \
    VALUE(char *, pcap_geterr, (pcap_t *p), (p), missing)                                                            \
    VALUE(int, pcap_compile, (pcap_t *p, struct bpf_program *f, const char *s, int o, unsigned m),                   \
          (p, f, s, o, m), -1)                                                                                       \
    VOID(pcap_freecode, (struct bpf_program *f), (f))                                                                \
    VALUE(int, pcap_offline_filter,                                                                                  \
          (const struct bpf_program *f, const struct pcap_pkthdr *h, const unsigned char *d), (f, h, d), 0)          \
    VALUE(int, pcap_datalink, (pcap_t *p), (p), -1)                                                                  \
    VALUE(int, pcap_list_datalinks, (pcap_t *p, int **l), (p, l), -1)                                                \
    VALUE(int, pcap_set_datalink, (pcap_t *p, int n), (p, n), -1)                                                    \
    VOID(pcap_free_datalinks, (int *l), (l))                                                                         \
    VALUE(int, pcap_datalink_name_to_val, (const char *s), (s), -1)                                                  \
    VALUE(const char *, pcap_datalink_val_to_name, (int n), (n), NULL)                                               \
    VALUE(const char *, pcap_datalink_val_to_description, (int n), (n), NULL)                                        \
    VALUE(int, pcap_major_version, (pcap_t *p), (p), -1)                                                             \
    VALUE(int, pcap_minor_version, (pcap_t *p), (p), -1)                                                             \
    VALUE(int, pcap_fileno, (pcap_t *p), (p), -1)                                                                    \
    VALUE(int, pcap_get_selectable_fd, (pcap_t *p), (p), -1)                                                         \
    VALUE(pcap_dumper_t *, pcap_dump_open, (pcap_t *p, const char *f), (p, f), NULL)                                 \
    VALUE(pcap_dumper_t *, pcap_dump_open_append, (pcap_t *p, const char *f), (p, f), NULL)                          \
    VALUE(pcap_dumper_t *, pcap_dump_fopen, (pcap_t *p, FILE *f), (p, f), NULL)                                      \
    VALUE(int, pcap_dump_flush, (pcap_dumper_t *d), (d), -1)                                                         \
    VOID(pcap_dump_close, (pcap_dumper_t *d), (d))                                                                   \
    VOID(pcap_dump, (unsigned char *u, const struct pcap_pkthdr *h, const unsigned char *d), (u, h, d))              \
    VALUE(int, pcap_findalldevs, (pcap_if_t **l, char *e), (l, e), (*l = NULL, explain(e)))                          \
    VOID(pcap_freealldevs, (pcap_if_t *l), (l))

/* NULL where the library is missing or too old to have the function. */
#define POINTER(type, name, parameters, arguments, otherwise) type(*name) parameters;
#define POINTER_VOID(name, parameters, arguments) void(*name) parameters;
static struct {
    FUNCTIONS(POINTER, POINTER_VOID)
} real;

/* The names are literals of ours and never depend on the environment or the working directory. */
static void *open_library(void)
{
    static const char *const names[] = {"libpcap.so.0.8", "libpcap.so.1", "libpcap.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library != NULL) {
            return library;
        }
    }
    return NULL;
}

/* The cast through void** is the one that POSIX gives for dlsym: ISO C has none for functions. */
#define RESOLVE(type, name, parameters, arguments, otherwise) *(void **)&real.name = dlsym(library, #name);
#define RESOLVE_VOID(name, parameters, arguments) *(void **)&real.name = dlsym(library, #name);
static void resolve(void)
{
    void *library = open_library(); /* stays open until the process ends */
    if (library != NULL) {
        FUNCTIONS(RESOLVE, RESOLVE_VOID)
    }
}

static pthread_once_t resolved = PTHREAD_ONCE_INIT;

#define FORWARD(type, name, parameters, arguments, otherwise)                                                         \
    type name parameters                                                                                              \
    {                                                                                                                 \
        pthread_once(&resolved, resolve);                                                                             \
        return real.name != NULL ? real.name arguments : otherwise;                                                   \
    }
#define FORWARD_VOID(name, parameters, arguments)                                                                     \
    void name parameters                                                                                              \
    {                                                                                                                 \
        pthread_once(&resolved, resolve);                                                                             \
        if (real.name != NULL) {                                                                                      \
            real.name arguments;                                                                                      \
        }                                                                                                             \
    }
/* Declared first: compilers warn about a definition without a prototype. */
#define DECLARE(type, name, parameters, arguments, otherwise) type name parameters;
#define DECLARE_VOID(name, parameters, arguments) void name parameters;
FUNCTIONS(DECLARE, DECLARE_VOID)
FUNCTIONS(FORWARD, FORWARD_VOID)
