#include "sessions.h"

#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/wait.h>

#define OWN_PROC "/armvisor-proc" /* of the initramfs, where nobody moves it */

#define PATIENCE_MS 2000 /* in which a port is looked for often */

static long processes[AV_SESSIONS];
static long proc_fd = -1;

static void pause_ms(long ms) {
  const struct { long s, ns; } moment = {ms / 1000, ms % 1000 * 1000000};
  SYS(nanosleep, &moment, 0);
}

/* The present root of the guest's first process, which moves while the guest starts. */
static void enter_init_root(void) {
  if (SYS(fchdir, proc_fd) < 0 || SYS(chdir, "1/root") < 0 || SYS(chroot, ".") < 0)
    end_machine("the root of the first process", 0);
}

static void open_proc(void) {
  const long own = SYS(open, OWN_PROC, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  proc_fd = own >= 0 ? own : SYS(open, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void be_session(unsigned number, void (*serve)(void), int in_init_root) {
  char name[sizeof AV_SESSION_PORT + 12], digits[12];
  unsigned waited = 0;
  port_forget();
  join(name, sizeof name, AV_SESSION_PORT, decimal(&digits, number), NULL);
  for (;;) { /* its driver may come late, and so does the root that has it */
    if (in_init_root) enter_init_root();
    if (port_open(name, 1) >= 0) break;
    pause_ms(waited < PATIENCE_MS ? 20 : 500);
    if (waited < PATIENCE_MS) waited += 20;
  }
  serve();
  for (;;) SYS(exit_group, 0);
}

static void start_session(unsigned n, void (*serve)(void), int in_init_root) {
  processes[n] = SYS(fork);
  if (processes[n] == 0) be_session(n + 1, serve, in_init_root);
}

void sessions_serve(void (*serve)(void), int in_init_root) {
  if (in_init_root) open_proc();
  SYS(setsid);
  for (;;) {
    int status, missing = 0;
    for (unsigned n = 0; n < AV_SESSIONS; ++n) {
      if (processes[n] <= 0) start_session(n, serve, in_init_root);
      missing += processes[n] < 0;
    }
    /* Without memory for a process another look at it is due some time. */
    const long pid = SYS(wait4, -1, &status, missing ? WNOHANG : 0, 0);
    for (unsigned n = 0; n < AV_SESSIONS; ++n)
      if (pid > 0 && processes[n] == pid) processes[n] = 0;
    if (pid <= 0) pause_ms(100);
  }
}

void sessions_start(void (*serve)(void)) {
  if (SYS(fork) != 0) return;
  port_forget();
  sessions_serve(serve, 0);
}

/* A name that begins with @ has systemd leave the process alone when it leaves the initramfs. */
void sessions_start_beside_init(char** arguments, char** variables) {
  static char* const agent[] = {"@armvisor-agent", NULL};
  char* const nothing[] = {NULL};
  SYS(mkdir, OWN_PROC, 0555);
  SYS(mount, "proc", OWN_PROC, "proc", 0, 0);
  if (SYS(fork) == 0) {
    SYS(execve, AV_RUN_AGENT, agent, nothing);
    for (;;) SYS(exit_group, 127);
  }
  SYS(execve, "/init", arguments, variables);
  end_machine("cannot execute /init of the initramfs", 0);
}

void sessions_enter_root(void) {
  if (proc_fd >= 0) enter_init_root();
}
