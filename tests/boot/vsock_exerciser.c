// A guest's end of virtio sockets: "serve PORT COUNT" sends back what each of COUNT connections sends until its end;
// "call PORT" connects to the host, sends its standard input and its end, and writes what comes back; "refused PORT"
// says how a connection to nobody fails.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static struct sockaddr_vm address(unsigned cid, const char* port) {
  struct sockaddr_vm a = {0};
  a.svm_family = AF_VSOCK;
  a.svm_cid = cid;
  a.svm_port = (unsigned)atoi(port);
  return a;
}

static void check(int fine, const char* what) {
  if (fine) return;
  printf("%s: %s\n", what, strerror(errno));
  exit(1);
}

static void write_all(int to, const char* bytes, ssize_t size) {
  while (size > 0) {
    const ssize_t n = write(to, bytes, (size_t)size);
    check(n > 0, "write");
    bytes += n;
    size -= n;
  }
}

static long copy(int from, int to) {
  static char bytes[30000];
  long all = 0;
  for (ssize_t n; (n = read(from, bytes, sizeof bytes)) != 0; all += n) {
    check(n > 0, "read");
    write_all(to, bytes, n);
  }
  return all;
}

static void serve(const char* port, int count) {
  const int listening = socket(AF_VSOCK, SOCK_STREAM, 0);
  const struct sockaddr_vm a = address(VMADDR_CID_ANY, port);
  check(listening >= 0 && bind(listening, (const struct sockaddr*)&a, sizeof a) == 0 && listen(listening, 5) == 0, "listen");
  printf("serving %s\n", port);
  fflush(stdout);
  for (; count > 0; --count) {
    struct sockaddr_vm peer;
    socklen_t size = sizeof peer;
    const int s = accept(listening, (struct sockaddr*)&peer, &size);
    check(s >= 0, "accept");
    const long bytes = copy(s, s);
    printf("served %ld bytes of CID %u\n", bytes, peer.svm_cid);
    fflush(stdout);
    close(s);
  }
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (strcmp(argv[1], "serve") == 0) {
    serve(argv[2], atoi(argv[3]));
    return 0;
  }
  const int s = socket(AF_VSOCK, SOCK_STREAM, 0);
  const struct sockaddr_vm a = address(VMADDR_CID_HOST, argv[2]);
  check(s >= 0 && connect(s, (const struct sockaddr*)&a, sizeof a) == 0, "connect");
  copy(0, s);
  check(shutdown(s, SHUT_WR) == 0, "shutdown");
  copy(s, 1);
  return 0;
}
