/* Preloaded into a program (LD_PRELOAD), makes an allocation or a call on a socket fail, whichever
 * library it is made by, but for the C library itself: its name service crashes without memory.
 * Which call it is says a file that the test maps too (FAIL_NTH; see tests/lib/fail_nth.py). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { FAIL_NOTHING, FAIL_MEMORY, FAIL_RECEIVE, FAIL_SEND, FAIL_ACCEPT, FAIL_SOCKET };

struct orders {
    _Atomic uint64_t nth;    /* the call of this kind that fails, 1 is the next */
    _Atomic uint64_t seen;   /* calls of this kind */
    _Atomic uint64_t failed; /* of them */
    _Atomic uint32_t kind;   /* written last */
    _Atomic uint32_t one_in; /* if not 0: one call in so many fails instead */
    _Atomic uint32_t error;  /* errno of a failed call on a socket */
    _Atomic uint32_t seed;
};

static struct orders *orders;

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void map_orders(void)
{
    const char *path = getenv("FAIL_NTH");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        orders = map;
    close(fd);
}

/* The same seed gives the same sequence (splitmix64). */
static uint64_t random_of(uint64_t n)
{
    uint64_t z = n * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool is_of_libc(const void *caller)
{
    Dl_info object, libc;
    return dladdr(caller, &object) && dladdr(NEXT(getenv), &libc) &&
           object.dli_fbase == libc.dli_fbase;
}

static bool is_due(enum kind kind, const void *caller)
{
    if (!orders || atomic_load(&orders->kind) != (uint32_t)kind)
        return false;
    uint64_t nth = atomic_fetch_add(&orders->seen, 1) + 1;
    uint32_t one_in = atomic_load(&orders->one_in);
    uint64_t start = (uint64_t)atomic_load(&orders->seed) << 32;
    bool is_it = one_in ? random_of(start + nth) % one_in == 0 : nth == atomic_load(&orders->nth);
    if (!is_it || (kind == FAIL_MEMORY && is_of_libc(caller)))
        return false;
    atomic_fetch_add(&orders->failed, 1);
    errno = kind == FAIL_MEMORY ? ENOMEM : (int)atomic_load(&orders->error);
    return true;
}

#define IS_DUE(kind) is_due(kind, __builtin_return_address(0))

/* libuv ends the program when the pipes fail that it wakes its loop by, and rightly so. */
static bool is_socket(int fd)
{
    int type, kept = errno;
    socklen_t len = sizeof(type);
    bool is = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
    errno = kept;
    return is;
}

/* A connection that breaks does so for both ends, and for what comes after. */
static bool is_cut(enum kind kind, int fd, const void *caller)
{
    if (!is_socket(fd) || !is_due(kind, caller))
        return false;
    int kept = errno;
    shutdown(fd, SHUT_RDWR);
    errno = kept;
    return true;
}

#define IS_CUT(kind, fd) is_cut(kind, fd, __builtin_return_address(0))

void *malloc(size_t size)
{
    return IS_DUE(FAIL_MEMORY) ? NULL : NEXT(malloc)(size);
}

void *calloc(size_t nmemb, size_t size)
{
    return IS_DUE(FAIL_MEMORY) ? NULL : NEXT(calloc)(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
    return IS_DUE(FAIL_MEMORY) ? NULL : NEXT(realloc)(ptr, size);
}

ssize_t read(int fd, void *buf, size_t nbytes)
{
    return IS_CUT(FAIL_RECEIVE, fd) ? -1 : NEXT(read)(fd, buf, nbytes);
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    return IS_CUT(FAIL_RECEIVE, fd) ? -1 : NEXT(recv)(fd, buf, n, flags);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    return IS_CUT(FAIL_SEND, fd) ? -1 : NEXT(write)(fd, buf, n);
}

ssize_t writev(int fd, const struct iovec *iovec, int count)
{
    return IS_CUT(FAIL_SEND, fd) ? -1 : NEXT(writev)(fd, iovec, count);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
    return IS_CUT(FAIL_SEND, fd) ? -1 : NEXT(send)(fd, buf, n, flags);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
    return IS_DUE(FAIL_ACCEPT) ? -1 : NEXT(accept4)(fd, addr, addr_len, flags);
}

int socket(int domain, int type, int protocol)
{
    return IS_DUE(FAIL_SOCKET) ? -1 : NEXT(socket)(domain, type, protocol);
}
