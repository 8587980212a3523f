/* Turns the guest's monotonic clock into an instruction counter.
 *
 * A plugin for QEMU's user-mode emulation. Every translated block adds its number of guest instructions to one counter,
 * and whatever the guest reads from CLOCK_MONOTONIC is that counter, one microsecond an instruction. So every clock in
 * the guest counts instructions: Python's time.monotonic_ns() as well as the profilers inside of the inference engines,
 * which time each operator in whole microseconds.
 *
 * QEMU's plugin header is not packaged everywhere, so the functions used are declared here (plugin API version 1,
 * QEMU 4.2 to 8.2). Build: cc -O2 -shared -fPIC -o counter.so counter.c
 */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
enum { ADD_U64 = 0 };
enum { SYSCALL_CLOCK_GETTIME = 113, CLOCK_MONOTONIC_ID = 1 }; /* Linux on ARM64 */

typedef void (*translated_fn)(plugin_id, struct qemu_plugin_tb *);
typedef void (*syscall_fn)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t);
typedef void (*syscall_return_fn)(plugin_id, unsigned, int64_t, int64_t);

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated_fn);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, syscall_fn);
extern void qemu_plugin_register_vcpu_syscall_ret_cb(plugin_id, syscall_return_fn);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 1;

static uint64_t insns;
static __thread int64_t *answer; /* the guest's struct timespec while its clock_gettime runs: {seconds, nanoseconds} */

static void on_translated(plugin_id id, struct qemu_plugin_tb *block) {
  qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &insns, qemu_plugin_tb_n_insns(block));
}

/* A 64-bit guest on a 64-bit host shares our address space (the emulator is started with guest base 0). */
static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t clock, uint64_t timespec, uint64_t a3,
                       uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
  answer = number == SYSCALL_CLOCK_GETTIME && clock == CLOCK_MONOTONIC_ID ? (int64_t *)timespec : NULL;
}

static void on_syscall_return(plugin_id id, unsigned cpu, int64_t number, int64_t result) {
  if (answer != NULL && result == 0) {
    uint64_t now = insns;
    answer[0] = (int64_t)(now / 1000000);
    answer[1] = (int64_t)(now % 1000000) * 1000;
  }
  answer = NULL;
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
  qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
  qemu_plugin_register_vcpu_syscall_ret_cb(id, on_syscall_return);
  return 0;
}
