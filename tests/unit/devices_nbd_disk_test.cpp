// Disks that other programs serve by NBD: qemu-nbd for images of other formats than raw, and nbdkit at an address.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "devices/backends/disk_source.h"
#include "devices/backends/image_format.h"
#include "devices/backends/nbd_disk.h"
#include "virtio_disk.h"

namespace armvisor::devices::virtio {
namespace {

using namespace testing;

bool has_program(const std::string& name) {
  return std::system(("command -v " + name + " > /dev/null 2>&1").c_str()) == 0;
}

/// The test says what is missing and does not go on without it.
#define NEEDS(program, package) \
  if (!has_program(program))    \
  GTEST_SKIP() << program << " is not installed (package " package "; scripts/install_packages.sh --tests)"

/// A folder for images, with what makes them and looks at them.
class Images {
 public:
  Images() {
    char name[] = "/tmp/armvisor-images-XXXXXX";
    if (!mkdtemp(name)) std::abort();
    folder_ = name;
  }
  ~Images() { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string make(const std::string& format, const std::string& size, const std::string& ending = "") const {
    const std::string image = path("disk." + (ending.empty() ? format : ending));
    EXPECT_EQ(run("qemu-img create -q -f " + format + " " + image + " " + size), 0);
    return image;
  }
  /// The first `bytes` of the disk that is in the image.
  std::string content(const std::string& image, const std::string& format, std::size_t bytes) const {
    const std::string raw = path("raw");
    EXPECT_EQ(run("qemu-img convert -f " + format + " -O raw " + image + " " + raw), 0);
    std::ifstream in(raw, std::ios::binary);
    std::string text(bytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(bytes));
    return text;
  }
  static int run(const std::string& command) { return std::system(command.c_str()); }

 private:
  std::string folder_;
};

std::shared_ptr<DiskBackend> open_source(const DiskSource& source) {
  auto disk = open_disk(source, nullptr);
  EXPECT_TRUE(disk) << (disk ? "" : disk.error().message);
  return disk ? *std::move(disk) : nullptr;
}

std::string message_of(const DiskSource& source, ErrorKind kind) {
  const auto disk = open_disk(source, nullptr);
  if (disk) return "opened";
  EXPECT_EQ(disk.error().kind, kind) << disk.error().message;
  return disk.error().message;
}

TEST(ImageFormat, NamesAndContentsTell) {
  EXPECT_EQ(format_of_name("a/b.qcow2"), "qcow2");
  EXPECT_EQ(format_of_name("B.VMDK"), "vmdk");
  EXPECT_EQ(format_of_name("x.vhd"), "vpc");
  for (const char* raw : {"disk.img", "disk", "disk.qcow2.img", ".qcow2", "/dev/sda", "rootfs.ext4"})
    EXPECT_EQ(format_of_name(raw), "raw") << raw;
  const auto of = [](std::string_view text) {
    return format_of_content({reinterpret_cast<const u8*>(text.data()), text.size()});
  };
  EXPECT_EQ(of(std::string_view("QFI\xfb\0\0\0\x03", 8)), "qcow2");
  EXPECT_EQ(of(std::string_view("QFI\xfb\0\0\0\x01", 8)), "qcow");
  EXPECT_EQ(of("QFI"), "raw");
  EXPECT_EQ(of("vhdxfile...."), "vhdx");
  EXPECT_EQ(of(""), "raw");
}

TEST(DiskOption, WordsAtTheEndAreOptions) {
  const auto all = parse_disk_option("a,b.img,ro,snapshot,format=raw,cache=unsafe,discard=ignore");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->path, "a,b.img");
  EXPECT_TRUE(all->read_only && all->snapshot && !all->unmap);
  EXPECT_EQ(all->format, "raw");
  EXPECT_EQ(all->cache, DiskCache::Unsafe);
  EXPECT_EQ(parse_disk_option("plain.img")->path, "plain.img");
  for (const char* wrong : {"", ",ro", "a,format=iso", "a,cache=always", "a,discard=on"})
    EXPECT_FALSE(parse_disk_option(wrong)) << wrong;
}

// An image that is opened without its format being said must not become another by what a guest writes.
TEST(DiskFile, AnImageThatWasFoundRawStaysRaw) {
  TempFile f(std::string(64 * 512, '\0'));
  const std::string header = std::string("QFI\xfb\0\0\0\x03", 8) + std::string(504, '\0');
  {
    Disk d(open_source({.path = f.path(), .format = "auto"}));
    ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
    EXPECT_EQ(d.write_sectors(0, header), 1);
    EXPECT_EQ(d.write_sectors(1, header), 0) << "elsewhere it means nothing";
    EXPECT_EQ(d.write_sectors(0, std::string(512, 'm')), 0);
  }
  Disk d(open_source({.path = f.path(), .format = "raw"}));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  EXPECT_EQ(d.write_sectors(0, header), 0) << "who says raw gets raw";
}

class Formats : public ::testing::TestWithParam<const char*> {};

TEST_P(Formats, WhatIsWrittenIsInTheImage) {
  NEEDS("qemu-nbd", "qemu-utils");
  NEEDS("qemu-img", "qemu-utils");
  const Images images;
  const std::string format = GetParam();
  const std::string image = images.make(format, "8M");
  const std::string large(200 * 1024, 'l');
  {
    Disk d(open_source({.path = image}));
    ASSERT_TRUE(d.bring_up(k_rings | k_flush | k_discard | k_write_zeroes, 1));
    EXPECT_GE(d.read(Driver::Config), 8u << 11);
    EXPECT_EQ(d.read_sectors(5, 1), std::string(512, '\0'));
    EXPECT_EQ(d.write_sectors(0, std::string(1024, 'a')), 0);
    EXPECT_EQ(d.write_sectors(100, large), 0);
    EXPECT_EQ(d.range(WriteZeroes, 101, 1, 0), 0);
    EXPECT_EQ(d.request(Flush, 0, {}), 0);
    EXPECT_EQ(d.read_sectors(1, 2), std::string(512, 'a') + std::string(512, '\0'));
    EXPECT_EQ(d.read_sectors(100, 3), std::string(512, 'l') + std::string(512, '\0') + std::string(512, 'l'));
  }
  const std::string content = images.content(image, format, 300 * 1024);
  EXPECT_EQ(content.substr(0, 1024), std::string(1024, 'a'));
  EXPECT_EQ(content.substr(102 * 512, 1024), std::string(1024, 'l'));
  EXPECT_EQ(content.substr(101 * 512, 512), std::string(512, '\0'));
  EXPECT_EQ(content[100 * 512 + large.size() - 1], 'l');
}

INSTANTIATE_TEST_SUITE_P(All, Formats, ::testing::Values("qcow2", "vmdk", "vhdx", "vdi"));

// Scattered buffers go by way of one; several requests are under way at once.
TEST(NbdDisk, ManyScatteredRequestsAtOnce) {
  NEEDS("qemu-nbd", "qemu-utils");
  const Images images;
  Disk d(open_source({.path = images.make("qcow2", "64M")}));
  ASSERT_TRUE(d.negotiate(k_rings | k_flush));
  d.setup_queue(0, 256);
  constexpr u32 k_requests = 30;
  std::vector<Disk::Pending> all;
  for (u32 i = 0; i < k_requests; ++i) {
    const std::string bytes(1024, static_cast<char>('A' + i));
    const GuestPa first = d.put(bytes);
    d.allocate(512);  // not neighbours
    const GuestPa second = d.put(bytes);
    all.push_back(d.submit(Out, i * 64, {{first, 1024, false}, {second, 1024, false}}));
  }
  d.driver_ok();
  for (u32 i = 0; i < k_requests; ++i) ASSERT_TRUE(d.wait_used(0));
  for (const auto& p : all) EXPECT_EQ(*d.ram.host(p.status), 0);
  std::vector<std::pair<GuestPa, GuestPa>> read;
  for (u32 i = 0; i < k_requests; ++i) {
    const GuestPa first = d.allocate(1024);
    d.allocate(512);
    read.emplace_back(first, d.allocate(1024));
    d.submit(In, i * 64, {{first, 1024, true}, {read.back().second, 1024, true}});
  }
  d.kick(0);
  for (u32 i = 0; i < k_requests; ++i) ASSERT_TRUE(d.wait_used(0));
  for (u32 i = 0; i < k_requests; ++i) {
    EXPECT_EQ(d.view(read[i].first, 1024), std::string(1024, static_cast<char>('A' + i)));
    EXPECT_EQ(d.view(read[i].second, 1024), std::string(1024, static_cast<char>('A' + i)));
  }
}

TEST(NbdDisk, AReadOnlyDiskIsOnlyRead) {
  NEEDS("qemu-nbd", "qemu-utils");
  const Images images;
  const std::string image = images.make("qcow2", "1M");
  ASSERT_EQ(::chmod(image.c_str(), 0400), 0);
  Disk d(open_source({.path = image, .read_only = true}));
  ASSERT_TRUE(d.bring_up(k_rings | (1u << 5), 1));
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 1);
  EXPECT_EQ(d.read_sectors(0, 1), std::string(512, '\0'));
}

TEST(NbdDisk, AnImageHasOneWriter) {
  NEEDS("qemu-nbd", "qemu-utils");
  const Images images;
  const std::string image = images.make("qcow2", "1M");
  const auto first = open_source({.path = image});
  EXPECT_NE(message_of({.path = image}, ErrorKind::HostResource).find("in use by another machine"), std::string::npos);
}

TEST(NbdDisk, WhatCannotBeOpenedIsExplained) {
  EXPECT_NE(message_of({.path = "/nonexistent/d.qcow2"}, ErrorKind::BadInput).find("No such file"), std::string::npos);
  TempFile f(std::string(4096, 'x'));
  {
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", "/nonexistent", 1);
    const std::string message = message_of({.path = f.path(), .format = "qcow2"}, ErrorKind::HostResource);
    ::setenv("PATH", path.c_str(), 1);
    EXPECT_NE(message.find("qemu-nbd"), std::string::npos) << message;
    EXPECT_NE(message.find("qemu-utils"), std::string::npos) << message;
  }
  EXPECT_NE(message_of({.path = "nbd+unix:///?socket=/nonexistent/socket"}, ErrorKind::HostResource).find("NBD server"),
            std::string::npos);
  EXPECT_NE(message_of({.path = "nbd://127.0.0.1:1/"}, ErrorKind::HostResource).find("NBD server"), std::string::npos);
  NEEDS("qemu-nbd", "qemu-utils");
  const std::string message = message_of({.path = f.path(), .format = "qcow2"}, ErrorKind::BadInput);
  EXPECT_NE(message.find("qcow2 format"), std::string::npos) << message;
}

TEST(NbdDisk, AHostileSizeIsRefusedOrServed) {
  NEEDS("qemu-nbd", "qemu-utils");
  const Images images;
  const std::string image = images.make("qcow2", "1M");
  const auto set_size = [&](u64 bytes) {  // in qcow2's header, big-endian at 24
    std::fstream file(image, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(24);
    for (int shift = 56; shift >= 0; shift -= 8) file.put(static_cast<char>(bytes >> shift));
  };
  set_size(~u64{0});
  EXPECT_NE(message_of({.path = image}, ErrorKind::BadInput), "opened");
  set_size(u64{1} << 62);
  EXPECT_NE(message_of({.path = image}, ErrorKind::BadInput), "opened");
  set_size(0);
  EXPECT_NE(message_of({.path = image}, ErrorKind::BadInput), "opened");
}

/// A server that kills itself, or is killed, while its guest writes: each request is answered once, with an error from
/// then on, and what was flushed is there.
TEST(NbdDisk, AServerKilledInMidWriteIsAnErrorAndLosesNothingThatWasFlushed) {
  NEEDS("qemu-nbd", "qemu-utils");
  NEEDS("qemu-img", "qemu-utils");
  const Images images;
  const std::string image = images.make("qcow2", "64M");
  {
    const auto backend = open_source({.path = image});
    const auto& nbd = dynamic_cast<const NbdDisk&>(*backend);
    const int server = *nbd.server_id();
    Disk d(backend);
    ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1, 256));
    for (u32 i = 0; i < 20; ++i) ASSERT_EQ(d.write_sectors(i * 200, std::string(4096, 'f')), 0);
    ASSERT_EQ(d.request(Flush, 0, {}), 0);
    // More than the server can have done when it dies.
    constexpr u32 k_requests = 60;
    std::vector<Disk::Pending> all;
    const GuestPa data(Driver::k_base);
    for (u32 i = 0; i < k_requests; ++i) all.push_back(d.submit(Out, 10000 + i * 1000, {{data, 256 * 1024, false}}));
    d.kick(0);
    ASSERT_EQ(::kill(server, SIGKILL), 0);
    std::vector<int> answers(256);
    for (u32 i = 0; i < k_requests; ++i) {
      const auto used = d.wait_used(0);
      ASSERT_TRUE(used) << i;
      EXPECT_EQ(++answers[used->id], 1) << "answered twice";
    }
    EXPECT_FALSE(d.poll_used(0));
    for (const auto& p : all) EXPECT_TRUE(*d.ram.host(p.status) == 0 || *d.ram.host(p.status) == 1);
    EXPECT_EQ(*d.ram.host(all.back().status), 1);
    EXPECT_EQ(d.write_sectors(0, std::string(512, 'x')), 1);
    EXPECT_EQ(d.read_sectors(0, 1), "failed");
    EXPECT_EQ(d.request(Flush, 0, {}), 1);
  }
  const std::string content = images.content(image, "qcow2", 20 * 200 * 512);
  for (u32 i = 0; i < 20; ++i) EXPECT_EQ(content.substr(i * 200 * 512, 4096), std::string(4096, 'f')) << i;
}

TEST(NbdDisk, TheServerEndsWithTheDisk) {
  NEEDS("qemu-nbd", "qemu-utils");
  const Images images;
  auto disk = open_source({.path = images.make("qcow2", "1M")});
  const int server = *dynamic_cast<const NbdDisk&>(*disk).server_id();
  EXPECT_EQ(::kill(server, 0), 0);
  EXPECT_EQ(::getpgid(server), server) << "a group of its own";
  disk.reset();
  EXPECT_EQ(::kill(server, 0), -1);
}

// It has nothing of ours but its connection.
TEST(NbdDisk, TheServerHasNoOtherDescriptors) {
  NEEDS("qemu-nbd", "qemu-utils");
  const Images images;
  TempFile secret("secret");  // whose descriptor has no close-on-exec
  const auto disk = open_source({.path = images.make("qcow2", "1M")});
  const int server = *dynamic_cast<const NbdDisk&>(*disk).server_id();
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(server) + "/fd")) {
    std::error_code gone;
    EXPECT_NE(std::filesystem::read_symlink(entry.path(), gone), secret.path());
  }
}

/// nbdkit in the foreground of a process of its own, which ends with the test.
class Kit {
 public:
  Kit(const Images& images, const std::string& words) : socket_(images.path("socket")) {
    const std::string pid_file = images.path("pid");
    const std::string command = "exec nbdkit -f -U " + socket_ + " -P " + pid_file + " " + words;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
    // The file is written when the socket listens.
    int status = 0;
    while (!std::filesystem::exists(pid_file) && !ended_) {
      ended_ = ::waitpid(pid_, &status, WNOHANG) == pid_;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_FALSE(ended_) << "nbdkit ended with " << status;
  }
  ~Kit() {
    if (ended_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string address(const std::string& name = "") const { return "nbd+unix:///" + name + "?socket=" + socket_; }

 private:
  std::string socket_;
  pid_t pid_ = 0;
  bool ended_ = false;
};

TEST(NbdDisk, AServerAtAnAddress) {
  NEEDS("nbdkit", "nbdkit");
  const Images images;
  const Kit kit(images, "memory 8M");
  Disk d(open_source({.path = kit.address()}));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush | k_discard | k_write_zeroes, 1));
  EXPECT_EQ(d.read(Driver::Config), 8u << 11);
  EXPECT_EQ(d.write_sectors(9, std::string(4096, 'n')), 0);
  EXPECT_EQ(d.range(Discard, 9, 1, 0), 0);
  EXPECT_EQ(d.range(WriteZeroes, 10, 1, 1), 0);
  EXPECT_EQ(d.request(Flush, 0, {}), 0);
  EXPECT_EQ(d.read_sectors(10, 2), std::string(512, '\0') + std::string(512, 'n'));
}

TEST(NbdDisk, TheServersErrorsAreTheGuests) {
  NEEDS("nbdkit", "nbdkit");
  const Images images;
  const std::string broken = images.path("broken");
  const Kit kit(images, "--filter=error memory 8M error=ENOSPC error-pwrite-rate=100% error-file=" + broken);
  Disk d(open_source({.path = kit.address()}));
  ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'a')), 0);
  std::ofstream(broken).put('x');
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'b')), 1);
  EXPECT_EQ(d.read_sectors(0, 1), std::string(512, 'a'));
  std::filesystem::remove(broken);
  EXPECT_EQ(d.write_sectors(0, std::string(512, 'c')), 0) << "the disk goes on";
}

TEST(NbdDisk, OddAndEmptySizes) {
  NEEDS("nbdkit", "nbdkit");
  {
    const Images images;
    const Kit kit(images, "memory 1300");
    Disk d(open_source({.path = kit.address()}));
    EXPECT_EQ(d.read(Driver::Config), 2u);
    ASSERT_TRUE(d.bring_up(k_rings | k_flush, 1));
    EXPECT_EQ(d.read_sectors(0, 2), std::string(1024, '\0'));
  }
  {
    const Images images;
    const Kit kit(images, "memory 0");
    EXPECT_NE(message_of({.path = kit.address()}, ErrorKind::BadInput).find("512"), std::string::npos);
  }
  const Images images;
  const Kit kit(images, "pattern 9223372036854774784");  // the most that there can be
  Disk d(open_source({.path = kit.address(), .read_only = true}));
  ASSERT_TRUE(d.bring_up(k_rings | (1u << 5), 1));
  EXPECT_EQ(d.read_sectors((u64{1} << 54) - 3, 1).size(), 512u);
  EXPECT_EQ(d.read_sectors(u64{1} << 54, 1), "failed");
  EXPECT_NE(message_of({.path = kit.address(), .snapshot = true}, ErrorKind::BadInput).find("16 TiB"),
            std::string::npos);
}

TEST(NbdDisk, WhatTheServerOnlyLetsBeReadIsSaid) {
  NEEDS("nbdkit", "nbdkit");
  const Images images;
  const Kit kit(images, "-r memory 1M");
  EXPECT_NE(message_of({.path = kit.address()}, ErrorKind::BadInput).find("read-only"), std::string::npos);
}

// One that does not answer does not keep a machine that is to be built.
TEST(NbdDisk, TheWaitForAServerCanBeEnded) {
  const Images images;
  const std::string path = images.path("silent");
  const int listening = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listening, 1), 0);
  const auto stop = *StopEvent::create();
  std::thread ends([&] { stop->set(); });
  EXPECT_FALSE(open_disk({.path = "nbd+unix:///?socket=" + path}, stop.get()));
  ends.join();
  ::close(listening);
}

}  // namespace
}  // namespace armvisor::devices::virtio
