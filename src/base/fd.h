#pragma once
// Owned file descriptors and memory mappings.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <utility>

namespace armvisor {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    if (this != &o) {
      reset();
      fd_ = std::exchange(o.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// A mapping made with mmap; unmapped when it goes out of scope.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* p, std::size_t size) : p_(p), size_(size) {}
  Mapping(Mapping&& o) noexcept : p_(std::exchange(o.p_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Mapping& operator=(Mapping&& o) noexcept {
    if (this != &o) {
      reset();
      p_ = std::exchange(o.p_, nullptr);
      size_ = std::exchange(o.size_, 0);
    }
    return *this;
  }
  ~Mapping() { reset(); }
  unsigned char* data() const { return static_cast<unsigned char*>(p_); }
  std::size_t size() const { return size_; }
  explicit operator bool() const { return p_ != nullptr; }
  void reset() {
    if (p_) ::munmap(p_, size_);
    p_ = nullptr;
    size_ = 0;
  }

 private:
  void* p_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace armvisor
