#include "command.h"

#include <asm/ioctls.h>
#include <asm/signal.h>
#include <asm/termios.h>
#include <linux/fcntl.h>

#include "user.h"

#define PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct request {
  struct av_run run;
  const char *user, *folder;
  char **arguments, **variables;
};

/* What a child says of a step that failed, before it ends. */
struct child_failed {
  uint32_t step;
  long error;
};

/* The words, each of which has to end within the request. */
static int parse(struct request* r, char* bytes, size_t size) {
  if (size < sizeof r->run || bytes[size - 1] != 0) return 0;
  memcpy(&r->run, bytes, sizeof r->run);
  const size_t words = (size_t)r->run.arguments + r->run.variables + 2;
  size_t there = 0;
  for (size_t at = sizeof r->run; at < size; ++at) there += bytes[at] == 0;
  if (r->run.arguments == 0 || r->run.arguments > size || r->run.variables > size || there != words) return 0;
  /* Room for the variables that the agent adds, and for the zeros at the ends. */
  char** const all = allocate((words + 16) * sizeof *all);
  char* at = bytes + sizeof r->run;
  r->user = at;
  at += strlen(at) + 1;
  r->folder = at;
  at += strlen(at) + 1;
  r->arguments = all;
  for (uint32_t n = 0; n < r->run.arguments; ++n, at += strlen(at) + 1) *(r->arguments + n) = at;
  r->variables = all + r->run.arguments + 1;
  for (uint32_t n = 0; n < r->run.variables; ++n, at += strlen(at) + 1) *(r->variables + n) = at;
  return 1;
}

static const char* variable(char* const* variables, const char* name) {
  const size_t n = strlen(name);
  for (; *variables; ++variables)
    if (starts_with(*variables, name) && (*variables)[n] == '=') return *variables + n + 1;
  return NULL;
}

/* Unless the host said what it is. */
static void add_variable(struct request* r, const char* name, const char* value) {
  if (variable(r->variables, name)) return;
  const size_t size = strlen(name) + strlen(value) + 2;
  r->variables[r->run.variables++] = join(allocate(size), size, name, "=", value, NULL);
}

static long execute(const char* path, const struct request* r) { return SYS(execve, path, r->arguments, r->variables); }

/* As execvpe(3) looks for it: a program that may not be executed is remembered, in case there is no other. */
static long execute_found(const struct request* r) {
  const char* const name = r->arguments[0];
  for (const char* at = name; *at; ++at)
    if (*at == '/') return execute(name, r);
  const char* folders = variable(r->variables, "PATH");
  long error = -ENOENT;
  while (folders && *name) {
    char path[4096];
    size_t n = 0;
    for (; *folders && *folders != ':'; ++folders)
      if (n + 1 < sizeof path) path[n++] = *folders;
    path[n] = 0;
    char full[4096 + 256];
    const long one = execute(join(full, sizeof full, n ? path : ".", "/", name, NULL), r);
    if (one != -ENOENT && one != -ENOTDIR && error == -ENOENT) error = one;
    if (*folders++ == 0) break;
  }
  return error;
}

/* 0, 1 and 2 are its streams; all else of the agent's closes by itself. */
static void take_streams(const int (*streams)[3]) {
  int fds[3];
  /* First out of the way of what they replace. */
  for (int n = 0; n < 3; ++n) fds[n] = (int)SYS(fcntl64, (*streams)[n], F_DUPFD, 3);
  for (int n = 0; n < 3; ++n) {
    SYS(dup2, fds[n], n);
    SYS(close, fds[n]);
  }
}

static struct child_failed become(const struct request* r, const struct user* user, const int (*streams)[3]) {
  static const uint64_t no_signals = 0;
  SYS(setsid);
  if (r->run.flags & AV_TERMINAL) SYS(ioctl, (*streams)[0], TIOCSCTTY, 0);
  take_streams(streams);
  SYS(rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof no_signals);
  long error = SYS(setgroups32, user->group_count, user->groups);
  if (error == 0) error = SYS(setresgid32, user->gid, user->gid, user->gid);
  if (error == 0) error = SYS(setresuid32, user->uid, user->uid, user->uid);
  if (error < 0) return (struct child_failed){AV_STEP_USER, error};
  if (*r->folder) {
    error = SYS(chdir, r->folder);
    if (error < 0) return (struct child_failed){AV_STEP_FOLDER, error};
  } else if (SYS(chdir, user->home) < 0) {
    SYS(chdir, "/");
  }
  return (struct child_failed){AV_STEP_EXECUTE, execute_found(r)};
}

static void tell(const struct child_failed* failed, const struct request* r) {
  const char* const which = failed->step == AV_STEP_USER     ? r->user
                            : failed->step == AV_STEP_FOLDER ? r->folder
                                                             : r->arguments[0];
  port_failed(failed->step, failed->error, which, "");
}

/* Forks; returns when the program is executed, or is known not to be. */
static int start(struct command* c, const struct request* r, const struct user* user, const int (*streams)[3]) {
  int report[2];
  long error = SYS(pipe2, report, O_CLOEXEC);
  if (error == 0) error = c->pid = SYS(fork);
  if (error < 0) {
    port_failed(AV_STEP_SETUP, error, "a process for the command", "");
    return 0;
  }
  if (c->pid == 0) {
    const struct child_failed failed = become(r, user, streams);
    SYS(write, report[1], &failed, sizeof failed);
    for (;;) SYS(exit_group, 127);
  }
  SYS(close, report[1]);
  struct child_failed failed;
  const long n = SYS(read, report[0], &failed, sizeof failed);
  SYS(close, report[0]);
  if (n == 0) return 1;
  tell(&failed, r);
  return 0;
}

void command_resize(const struct command* command, const struct av_size* size) {
  const struct winsize w = {size->rows, size->columns, 0, 0};
  if (command->terminal && size->rows && size->columns) SYS(ioctl, command->in, TIOCSWINSZ, &w);
}

static long make_terminal(struct command* c, const struct request* r, const struct user* user, int (*theirs)[3]) {
  int locked = 0;
  const long fd = SYS(open, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fd;
  c->terminal = 1;
  c->in = c->out = (int)fd;
  c->error = c->kept = -1;
  SYS(ioctl, fd, TIOCSPTLCK, &locked);
  const long other = SYS(ioctl, fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (other < 0) return other;
  SYS(fchown32, other, user->uid, 5); /* its group is tty, as devpts has it */
  for (int n = 0; n < 3; ++n) (*theirs)[n] = (int)other;
  c->kept = (int)other;
  command_resize(c, &r->run.size);
  return 0;
}

/* Owned by the command's user, who may open them again as /dev/stdout. */
static long make_pipes(struct command* c, const struct user* user, int (*theirs)[3]) {
  int ours[3];
  c->terminal = 0;
  c->kept = -1;
  for (int n = 0; n < 3; ++n) {
    int ends[2];
    const long error = SYS(pipe2, ends, O_CLOEXEC);
    if (error < 0) return error;
    (*theirs)[n] = ends[n == 0 ? 0 : 1];
    ours[n] = ends[n == 0 ? 1 : 0];
    SYS(fcntl64, ours[n], F_SETFL, O_NONBLOCK);
    SYS(fchown32, (*theirs)[n], user->uid, user->gid);
  }
  c->in = ours[0];
  c->out = ours[1];
  c->error = ours[2];
  return 0;
}

static void set_time(const struct av_run* run) {
  const int64_t time[2] = {(int64_t)run->realtime_s, run->realtime_ns};
  SYS(clock_settime64, 0 /* CLOCK_REALTIME */, time);
}

int command_start(struct command* command, char* bytes, size_t size) {
  struct request r;
  struct user user;
  int theirs[3];
  if (!parse(&r, bytes, size)) {
    port_failed(AV_STEP_REQUEST, 0, "the request has another form than this agent knows", "");
    return 0;
  }
  if (r.run.realtime_s) set_time(&r.run);
  if (!user_find(&user, r.user)) {
    port_failed(AV_STEP_USER, -ENOENT, r.user, "");
    return 0;
  }
  add_variable(&r, "PATH", PATH);
  add_variable(&r, "HOME", user.home);
  add_variable(&r, "USER", user.name);
  add_variable(&r, "LOGNAME", user.name);
  add_variable(&r, "SHELL", user.shell);
  const int terminal = (r.run.flags & AV_TERMINAL) != 0;
  const long error = terminal ? make_terminal(command, &r, &user, &theirs) : make_pipes(command, &user, &theirs);
  if (error < 0) {
    port_failed(AV_STEP_SETUP, error, terminal ? "a terminal for the command" : "pipes for the command", "");
    return 0;
  }
  const int started = start(command, &r, &user, (const int(*)[3]) & theirs);
  for (int n = 0; n < 3 && !terminal; ++n) SYS(close, theirs[n]);
  return started;
}
