#pragma once
// What tests of disks share: a file, and the driver of a virtio block device.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "devices/virtio/blk.h"
#include "virtio_driver.h"

namespace armvisor::devices::virtio::testing {

constexpr u64 k_version = k_feature_version_1;
constexpr u64 k_rings = k_version | k_feature_indirect_desc | k_feature_event_idx;
constexpr u64 k_flush = 1u << 9;
constexpr u64 k_config_wce = 1u << 11;
constexpr u64 k_discard = 1u << 13;
constexpr u64 k_write_zeroes = 1u << 14;
enum Type : u32 { In = 0, Out = 1, Flush = 4, GetId = 8, Discard = 11, WriteZeroes = 13 };

class TempFile {
 public:
  explicit TempFile(std::string_view content) {
    char name[] = "/tmp/armvisor-blk-XXXXXX";
    fd_ = mkstemp(name);
    path_ = name;
    if (write(fd_, content.data(), content.size()) != static_cast<ssize_t>(content.size())) std::abort();
  }
  ~TempFile() {
    close(fd_);
    unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }
  std::string content() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  struct stat status() const {
    struct stat st;
    fstat(fd_, &st);
    return st;
  }

 private:
  int fd_;
  std::string path_;
};

struct Disk : Driver {
  explicit Disk(std::shared_ptr<DiskBackend> backend, MmioVersion version = MmioVersion::Modern,
                BlockOptions options = {.serial = "SERIAL42"})
      : Driver(*Block::create(std::move(backend), std::move(options)), version) {}

  struct Pending {
    GuestPa status, data;
  };
  Pending submit(u32 type, u64 sector, std::vector<Buffer> data, bool indirect = false) {
    Pending p;
    const GuestPa header = allocate(16, 16);
    const u32 words[4] = {type, 0, static_cast<u32>(sector), static_cast<u32>(sector >> 32)};
    std::memcpy(ram.host(header), words, 16);
    p.status = allocate(1, 16);
    *ram.host(p.status) = 0xff;
    std::vector<Buffer> all = {{header, 16, false}};
    all.insert(all.end(), data.begin(), data.end());
    all.push_back({p.status, 1, true});
    add(0, all, indirect);
    return p;
  }
  int request(u32 type, u64 sector, std::vector<Buffer> data, bool indirect = false) {
    const Pending p = submit(type, sector, std::move(data), indirect);
    kick(0);
    return wait_used(0) ? *ram.host(p.status) : -1;
  }
  int write_sectors(u64 sector, std::string_view bytes) {
    return request(Out, sector, {{put(bytes), static_cast<u32>(bytes.size()), false}});
  }
  std::string read_sectors(u64 sector, u32 count) {
    const GuestPa pa = allocate(count * 512);
    if (request(In, sector, {{pa, count * 512, true}}) != 0) return "failed";
    return std::string(view(pa, count * 512));
  }
  int range(u32 type, u64 sector, u32 sectors, u32 flags) {
    std::string s(16, 0);
    std::memcpy(s.data(), &sector, 8);
    std::memcpy(s.data() + 8, &sectors, 4);
    std::memcpy(s.data() + 12, &flags, 4);
    return request(type, 0, {{put(s), 16, false}});
  }
};

}  // namespace armvisor::devices::virtio::testing
