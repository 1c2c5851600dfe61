#include "kernel_log.h"

#include <linux/fcntl.h>

static long log_fd = -1;

void kernel_log_begin(void) {
  log_fd = SYS(open, "/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  SYS(lseek, log_fd, 0, 2 /* SEEK_END */);
}

static long leading_number(const char* text) {
  long value = 0;
  for (; *text >= '0' && *text <= '9' && value < 1 << 24; ++text) value = value * 10 + (*text - '0');
  return value;
}

/*
 * "PRIORITY,SEQUENCE,TIME,FLAGS;TEXT": the priority's upper bits are the facility, which is 0 for what the kernel says
 * itself and never for what programs write. Groups of limited memory that the command makes are its own affair: what is
 * killed for them has another text.
 */
static int is_kill(const char* record, long pid) {
  static const char* const texts[] = {"Out of memory: Killed process ",
                                      "Out of memory (oom_kill_allocating_task): Killed process "};
  unsigned priority = 0;
  for (; *record >= '0' && *record <= '9'; ++record) priority = priority * 10 + (unsigned)(*record - '0');
  if (priority > 7) return 0;
  while (*record && *record != ';') ++record;
  if (!*record) return 0;
  for (size_t n = 0; n < sizeof texts / sizeof *texts; ++n)
    if (starts_with(record + 1, texts[n]) && (pid < 0 || leading_number(record + 1 + strlen(texts[n])) == pid))
      return 1;
  return 0;
}

/* A record is read at a time; one that was overwritten before it was read is an error, behind which the next comes. */
uint32_t kernel_log_killed(long pid) {
  static char record[8192];
  uint32_t killed = 0;
  if (log_fd < 0) return 0;
  for (;;) {
    const long n = SYS(read, log_fd, record, sizeof record - 1);
    if (n == -EINTR || n == -EPIPE) continue;
    if (n <= 0) return killed;
    record[n] = 0;
    killed += is_kill(record, pid);
  }
}
