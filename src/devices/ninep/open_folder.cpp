#include "devices/ninep/open_folder.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace armvisor::devices::ninep {
namespace {

/// linux_dirent64 of getdents64(2).
constexpr std::size_t k_next = 8, k_size = 16, k_type = 18, k_name = 19;

template <class T>
T load(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

int OpenFolder::seek_host(u64 place) {
  return lseek(folder_.get(), static_cast<off_t>(place), SEEK_SET) < 0 ? errno : 0;
}

int OpenFolder::seek(u64 offset) {
  if (offset == 0) {
    forget();
    entry_ = place_ = 0;
  } else if (offset != entry_) {
    if (offset > places_.size()) return EINVAL;
    entry_ = offset;
    place_ = places_[offset - 1];
  }
  return seek_host(place_);
}

int OpenFolder::fill(std::vector<u8>& buffer, std::size_t& bytes) {
  const long got = syscall(SYS_getdents64, folder_.get(), buffer.data(), buffer.size());
  if (got < 0) return errno;
  bytes = static_cast<std::size_t>(got);
  return 0;
}

OpenFolder::Entry OpenFolder::parse(const u8* at, u64& next, std::size_t& size) {
  next = load<u64>(at + k_next);
  size = load<u16>(at + k_size);
  return {load<u64>(at), 0, at[k_type], reinterpret_cast<const char*>(at + k_name)};
}

void OpenFolder::passed(u64 next) {
  if (places_.size() == entry_ && budget_.left > 0) {
    places_.push_back(next);
    --budget_.left;
  }
  ++entry_;
  place_ = next;
}

void OpenFolder::forget() {
  budget_.left += places_.size();
  places_.clear();
  places_.shrink_to_fit();
}

}  // namespace armvisor::devices::ninep
