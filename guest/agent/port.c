#include "port.h"

#include <asm/poll.h>
#include <linux/fcntl.h>

#define CONSOLES 4
#define PORTS 32 /* of one */

static int fd = -1;
static uint8_t in[sizeof(struct av_frame) + AV_FRAME_MOST];
static size_t in_size, in_used; /* bytes there are, and those of the frame that was taken last */

static void wait_for(short events) {
  struct pollfd p = {fd, events, 0};
  SYS(poll, &p, 1, -1);
}

/* /dev/vportNpM is port M of the console that the kernel found as its Nth. */
static int open_named(const char* wanted) {
  for (unsigned n = 0; n < CONSOLES * PORTS; ++n) {
    char path[64], name[64], place[32], console[12], port[12];
    join(place, sizeof place, "vport", decimal(&console, n / PORTS), "p", decimal(&port, n % PORTS), NULL);
    join(path, sizeof path, "/sys/class/virtio-ports/", place, "/name", NULL);
    const long length = read_file(path, name, sizeof name - 1);
    if (length > 0 && name[length - 1] == '\n') name[length - 1] = 0;
    if (length <= 0 || !same(name, wanted)) continue;
    join(path, sizeof path, "/dev/", place, NULL);
    return (int)SYS(open, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }
  return -ENOENT;
}

long port_open(const char* name, int looks) {
  const struct { long s, ns; } moment = {0, 1000000};
  for (; looks > 0 && fd < 0; --looks) {
    fd = open_named(name);
    if (fd < 0) SYS(nanosleep, &moment, 0);
  }
  return fd;
}

void port_forget(void) {
  if (fd >= 0) SYS(close, fd);
  fd = -1;
  in_size = in_used = 0;
}

int port_fd(void) { return fd; }

static void send_all(const void* bytes, size_t n) {
  const uint8_t* at = bytes;
  while (n) {
    const long sent = SYS(write, fd, at, n);
    if (sent == -EAGAIN) {
      wait_for(POLLOUT);
    } else if (sent > 0) {
      at += sent;
      n -= (size_t)sent;
    } else if (sent != -EINTR) {
      end_machine("cannot write to the host", sent);
    }
  }
}

void port_send2(uint8_t type, uint8_t stream, const void* a, uint32_t a_length, const void* b, uint32_t b_length) {
  static uint8_t out[sizeof(struct av_frame) + AV_FRAME_MOST];
  const struct av_frame head = {type, stream, 0, a_length + b_length};
  memcpy(out, &head, sizeof head);
  memcpy(out + sizeof head, a, a_length);
  memcpy(out + sizeof head + a_length, b, b_length);
  send_all(out, sizeof head + a_length + b_length);
}

void port_send(uint8_t type, uint8_t stream, const void* bytes, uint32_t length) {
  port_send2(type, stream, bytes, length, NULL, 0);
}

void port_failed(uint32_t step, long error, const char* what, const char* which) {
  const struct av_failed failed = {step, (uint32_t)(error < 0 ? -error : 0)};
  char text[1024];
  join(text, sizeof text, what, which, NULL);
  port_send2(AV_FAILED, 0, &failed, sizeof failed, text, strlen(text));
}

int port_next(struct frame* frame) {
  in_size -= in_used;
  memmove(in, in + in_used, in_size);
  in_used = 0;
  for (;;) {
    struct av_frame* const head = &frame->head;
    if (in_size >= sizeof *head) {
      memcpy(head, in, sizeof *head);
      if (head->length > AV_FRAME_MOST) end_machine("a frame of the host's is too long", 0);
      if (in_size >= sizeof *head + head->length) {
        in_used = sizeof *head + head->length;
        frame->bytes = in + sizeof *head;
        return 1;
      }
    }
    const long n = SYS(read, fd, in + in_size, sizeof in - in_size);
    if (n <= 0) return 0;
    in_size += (size_t)n;
  }
}

void port_wait(void) { wait_for(POLLIN); }
