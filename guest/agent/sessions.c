#include "sessions.h"

#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/wait.h>

static long processes[AV_SESSIONS];

static void pause_ms(long ms) {
  const struct { long s, ns; } moment = {ms / 1000, ms % 1000 * 1000000};
  SYS(nanosleep, &moment, 0);
}

/* The present root of the guest's first process, which moves while the guest starts. */
static void enter_init_root(void) {
  if (SYS(chdir, "/proc/1/root") < 0 || SYS(chroot, ".") < 0) end_machine("the root of the first process", 0);
}

static void be_session(unsigned number, void (*serve)(void), int in_init_root) {
  char name[sizeof AV_SESSION_PORT + 12], digits[12];
  port_forget();
  join(name, sizeof name, AV_SESSION_PORT, decimal(&digits, number), NULL);
  while (port_open(name) < 0) pause_ms(100); /* its driver may come late */
  if (in_init_root) enter_init_root();
  serve();
  for (;;) SYS(exit_group, 0);
}

static void start_session(unsigned n, void (*serve)(void), int in_init_root) {
  processes[n] = SYS(fork);
  if (processes[n] == 0) be_session(n + 1, serve, in_init_root);
}

void sessions_serve(void (*serve)(void), int in_init_root) {
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
