/*
 * The first process of a guest that "armvisor exec" runs one command in: makes the guest a system, runs the command,
 * passes on its streams, says how it ended, and turns the machine off. Of a machine that has a name, further processes
 * of it serve other commands meanwhile (sessions.h); in a guest that has a first process of its own, the agent is only
 * these. Each has one thread, which waits only for the host, and in poll(2). What it and the host say to each other is
 * in src/exec/protocol.h.
 */
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <linux/wait.h>

#include "command.h"
#include "kernel_log.h"
#include "port.h"
#include "sessions.h"
#include "setup.h"

/* An output stream of the command's. */
struct output {
  int fd; /* -1: it has ended */
  uint8_t stream;
  uint32_t credit;
  uint64_t total;
  int last;      /* the command has ended: what is in a pipe now is all that there will be */
  uint32_t left; /* of it */
};

static struct command command = {.pid = -1, .in = -1, .out = -1, .error = -1, .kept = -1};
static struct output outputs[2];
/* What the command has not taken yet of its input. */
static uint8_t input[AV_WINDOW];
static uint32_t input_size;
static int input_ended, input_closed;
static int line_is_open;   /* what the terminal was given last is no end of a line */
static int ends_left = -1; /* characters that end a terminal's input and are still to be written; -1: not known yet */
static int wait_status, ended;
static int is_session; /* one of several commands: the machine does not end with it */
#define LOOKS 2000     /* for the port */
#define HANGUP_MS 2000 /* for a command whose user is gone to end by itself */

static uint32_t minimum(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void give_credit(uint32_t bytes) { port_send(AV_CREDIT, AV_STDIN, &bytes, sizeof bytes); }

/* --- the command's input */

static void close_input(void) {
  if (input_closed) return;
  input_closed = 1;
  input_size = 0;
  /* Of a terminal it is the same descriptor as its output. */
  if (!command.terminal) SYS(close, command.in);
}

/* A terminal's reader sees the end by a character; behind an open line the first one ends the line only. */
static void end_input(void) {
  static const uint8_t end_of_transmission[2] = {4, 4};
  if (command.terminal) {
    if (ends_left < 0) ends_left = line_is_open ? 2 : 1;
    const long n = SYS(write, command.in, end_of_transmission, ends_left);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n > 0) ends_left -= (int)n;
    if (n > 0 && ends_left > 0) return;
  }
  close_input();
}

static void pass_input(void) {
  if (input_closed) return;
  if (input_size) {
    const long n = SYS(write, command.in, input, input_size);
    if (n > 0) {
      line_is_open = input[n - 1] != '\n' && input[n - 1] != '\r';
      input_size -= (uint32_t)n;
      memmove(input, input + n, input_size);
      give_credit((uint32_t)n);
    } else if (n != -EAGAIN && n != -EINTR) {
      close_input(); /* nobody reads it any more */
    }
  }
  if (input_ended && input_size == 0) end_input();
}

/* --- its output */

static void end_output(struct output* o) {
  /* A terminal's other side stays for as long as somebody may type. */
  if (!command.terminal) SYS(close, o->fd);
  o->fd = -1;
  port_send(AV_END, o->stream, &o->total, sizeof o->total);
}

static void pass_output(struct output* o) {
  static uint8_t bytes[AV_FRAME_MOST];
  while (o->fd >= 0 && o->credit > 0) {
    uint32_t most = minimum(o->credit, sizeof bytes);
    if (o->last && !command.terminal) most = minimum(most, o->left);
    if (most == 0) return end_output(o);
    const long n = SYS(read, o->fd, bytes, most);
    if (n == -EAGAIN || n == -EINTR) return;
    if (n <= 0) return end_output(o); /* EIO: nobody has the terminal open, which is so at its end only */
    o->credit -= (uint32_t)n;
    o->total += (uint32_t)n;
    if (o->last) o->left -= minimum(o->left, (uint32_t)n);
    port_send(AV_DATA, o->stream, bytes, (uint32_t)n);
  }
}

/* The command has ended. What it wrote is in its pipes; others who have them open may go on writing for ever. */
static void end_streams(void) {
  if (!is_session) SYS(kill, -1, SIGKILL);
  if (command.kept >= 0) SYS(close, command.kept);
  command.kept = -1;
  for (int n = 0; n < 2; ++n) {
    struct output* const o = &outputs[n];
    int bytes = 0;
    if (o->fd < 0) continue;
    if (!command.terminal) SYS(ioctl, o->fd, FIONREAD, &bytes);
    o->last = 1;
    o->left = (uint32_t)bytes;
    if (!command.terminal && bytes == 0) end_output(o);
  }
}

/* --- what the host says */

static struct output* output_of(uint8_t stream) {
  for (int n = 0; n < 2; ++n)
    if (outputs[n].stream == stream && outputs[n].fd >= 0) return &outputs[n];
  return NULL;
}

static void take_input(const struct frame* f) {
  if (input_closed) return;
  if (f->head.length > sizeof input - input_size) end_machine("the host sends more than it was given credit for", 0);
  memcpy(input + input_size, f->bytes, f->head.length);
  input_size += f->head.length;
}

/* Who writes to a pipe is told by SIGPIPE; of a terminal all are told by SIGHUP that it is gone, input included. */
static void close_output(struct output* o) {
  if (!o) return;
  SYS(close, o->fd);
  if (command.terminal) {
    close_input();
    if (command.kept >= 0) SYS(close, command.kept);
    command.kept = command.in = command.out = -1;
  }
  o->fd = -1;
  port_send(AV_END, o->stream, &o->total, sizeof o->total);
}

static void send_signal(int signal) {
  /* The command leads a group of its own, until it makes others. */
  if (!ended && SYS(kill, -command.pid, signal) < 0) SYS(kill, command.pid, signal);
}

static void reap(void);

/* Nobody waits for the command any more. What is left of its group after a while is killed. */
static void hang_up(void) {
  static const uint64_t child = UINT64_C(1) << (SIGCHLD - 1);
  const struct { long s, ns; } most = {HANGUP_MS / 1000, HANGUP_MS % 1000 * 1000000L};
  uint8_t info[128];
  send_signal(SIGHUP);
  send_signal(SIGCONT);
  reap();
  if (!ended) SYS(rt_sigtimedwait, &child, info, &most, sizeof child);
  if (command.pid > 0) SYS(kill, -command.pid, SIGKILL);
  for (;;) SYS(exit_group, 0);
}

static void take_frame(const struct frame* f) {
  struct output* const o = output_of(f->head.stream);
  uint32_t word = 0;
  struct av_size size;
  if (f->head.length >= sizeof word) memcpy(&word, f->bytes, sizeof word);
  switch (f->head.type) {
    case AV_DATA: return take_input(f);
    case AV_END: input_ended = 1; return;
    case AV_CREDIT:
      if (o) o->credit += word;
      return;
    case AV_CLOSE: return close_output(o);
    case AV_SIGNAL: return send_signal((int)word);
    case AV_HANGUP:
      if (is_session) hang_up();
      return;
    case AV_RESIZE: memcpy(&size, &word, sizeof size); return command_resize(&command, &size);
    default: return;
  }
}

/* --- from start to end */

static void reap(void) {
  for (;;) {
    int status = 0;
    const long pid = SYS(wait4, -1, &status, WNOHANG, 0);
    if (pid == -EINTR) continue;
    if (pid <= 0) return;
    if (pid == command.pid) {
      ended = 1;
      wait_status = status;
    }
  }
}

/* A descriptor that is readable when a child has ended. */
static int watch_children(void) {
  static const uint64_t child = UINT64_C(1) << (SIGCHLD - 1);
  /* Input that nobody reads is an error of write(2), also for a session, which is no first process. */
  static const uint64_t blocked = UINT64_C(1) << (SIGCHLD - 1) | UINT64_C(1) << (SIGPIPE - 1);
  SYS(rt_sigprocmask, SIG_BLOCK, &blocked, NULL, sizeof blocked);
  return (int)SYS(signalfd4, -1, &child, sizeof child, O_CLOEXEC | O_NONBLOCK);
}

static void wait_for_something(int children) {
  struct pollfd fds[5] = {{port_fd(), POLLIN, 0}, {children, POLLIN, 0}, {-1, 0, 0}, {-1, 0, 0}, {-1, 0, 0}};
  if (!input_closed && (input_size || input_ended)) fds[2] = (struct pollfd){command.in, POLLOUT, 0};
  for (int n = 0; n < 2; ++n)
    if (outputs[n].fd >= 0 && outputs[n].credit) fds[3 + n] = (struct pollfd){outputs[n].fd, POLLIN, 0};
  SYS(poll, fds, 5, -1);
  if (fds[1].revents) {
    uint8_t info[128];
    while (SYS(read, children, info, sizeof info) > 0) {
    }
  }
}

static void pass_streams(int children) {
  int streams_end = 0;
  while (!ended || outputs[0].fd >= 0 || outputs[1].fd >= 0) {
    struct frame frame;
    while (port_next(&frame)) take_frame(&frame);
    pass_input();
    reap();
    if (ended && !streams_end) {
      streams_end = 1;
      end_streams();
    }
    for (int n = 0; n < 2; ++n) pass_output(&outputs[n]);
    if (ended && outputs[0].fd < 0 && outputs[1].fd < 0) return;
    wait_for_something(children);
  }
}

static void say_end(void) {
  const int signal = wait_status & 0x7f;
  struct av_exited exited = {signal ? AV_END_SIGNAL : AV_END_STATUS,
                             (uint32_t)(signal ? signal : (wait_status >> 8) & 0xff), 0, 0};
  exited.killed = kernel_log_killed(is_session ? command.pid : -1);
  exited.lost = (uint32_t)setup_sync();
  if (!is_session) setup_end();
  port_send(AV_EXITED, 0, &exited, sizeof exited);
}

/* The whole request, which comes in one frame or several; its size, 0 for one that is too long. */
static size_t take_request(char* request) {
  size_t size = 0;
  for (;;) {
    struct frame frame;
    while (!port_next(&frame)) port_wait();
    if (frame.head.type == AV_HANGUP && is_session) return 0;
    if (frame.head.type != AV_RUN) continue;
    if (frame.head.length > AV_REQUEST_MOST - size) return 0;
    memcpy(request + size, frame.bytes, frame.head.length);
    size += frame.head.length;
    if (frame.head.stream == 0) return size;
  }
}

static void serve_command(void) {
  static const struct av_hello hello = {AV_PROTOCOL};
  char* const request = allocate(AV_REQUEST_MOST);
  port_send(AV_HELLO, 0, &hello, sizeof hello);
  const size_t size = take_request(request);
  if (size == 0 && is_session) return;
  if (is_session) sessions_enter_root();
  const int children = watch_children();
  kernel_log_begin();
  if (!command_start(&command, request, size)) return;
  outputs[0] = (struct output){.fd = command.out, .stream = AV_STDOUT};
  outputs[1] = (struct output){.fd = command.error, .stream = AV_STDERR};
  port_send(AV_STARTED, 0, NULL, 0);
  give_credit(sizeof input);
  pass_streams(children);
  say_end();
}

static void serve_session(void) {
  is_session = 1;
  serve_command();
}

static void serve(void) {
  const long error = port_open(AV_PORT_NAME, LOOKS);
  if (error < 0) end_machine("no port " AV_PORT_NAME " (virtio_console)", error);
  if (!setup_system()) return;
  if (setup_has_sessions()) sessions_start(serve_session);
  serve_command();
}

/* The stack has the number of arguments, these and a zero, then the variables and a zero. */
void agent_main(char** stack) {
  char** const arguments = stack + 1;
  if (SYS(getpid) != 1) sessions_serve(serve_session, 1);
  if (SYS(access, AV_RUN_AGENT, 0) == 0) sessions_start_beside_init(arguments, arguments + (long)*stack + 1);
  SYS(mkdir, "/proc", 0755);
  SYS(mkdir, "/sys", 0755);
  SYS(mkdir, "/dev", 0755);
  SYS(mount, "proc", "/proc", "proc", 0, 0);
  SYS(mount, "sysfs", "/sys", "sysfs", 0, 0);
  SYS(mount, "devtmpfs", "/dev", "devtmpfs", 0, 0);
  setup_early();
  serve();
  end_machine(NULL, 0);
}

__asm__(
    ".globl _start\n.type _start, %function\n_start:\n\tmov fp, #0\n\tmov r0, sp\n\tbic sp, sp, #7\n\tb agent_main\n");
