#include "memory/guest_ram.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/host_error.h"
#include "memory/fence.h"

namespace armvisor {
namespace {

Error failed(const char* what, u64 size) {
  return host_error(fmt::format("guest memory of {} MiB: expected {}", size >> 20, what), errno,
                    "give the machine less with --memory");
}

}  // namespace

Result<GuestRam> GuestRam::create(GuestPa base, u64 size) {
  constexpr u64 mib = u64{1} << 20;
  if (size == 0 || size % mib != 0 || base.value % mib != 0)
    return Error{ErrorKind::BadArguments, "guest memory: base and size must be whole MiB, size not 0"};
  GuestRam ram;
  ram.fd_ = Fd(::memfd_create("armvisor-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!ram.fd_) return failed("a memory file", size);
  // Its size is sealed: programs that it is given to could end this one by making it shorter.
  if (::ftruncate(ram.fd_.get(), static_cast<off_t>(size)) != 0 ||
      ::fcntl(ram.fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return failed("a memory file of that size", size);
  void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram.fd_.get(), 0);
  if (p == MAP_FAILED) return failed("to map it", size);
  ram.map_ = Mapping(p, size);
  ram.base_ = base;
  ram.size_ = size;
  ram.marks_ = std::make_unique<std::atomic<u8>[]>(size >> k_page_bits);
  return ram;
}

bool GuestRam::read(GuestPa pa, std::span<u8> out) const {
  if (!contains(pa, out.size())) return false;
  std::copy_n(host(pa), out.size(), out.begin());
  return true;
}

bool GuestRam::write(GuestPa pa, std::span<const u8> in) {
  if (!contains(pa, in.size())) return false;
  std::ranges::copy(in, host(pa));
  mark_written(pa, in.size());
  return true;
}

bool GuestRam::clear(GuestPa pa, u64 size) {
  if (!contains(pa, size)) return false;
  std::memset(host(pa), 0, size);
  mark_written(pa, size);
  return true;
}

void GuestRam::mark_written(GuestPa pa, u64 size) {
  if (size == 0 || !contains(pa, size)) return;
  // The bytes must be visible before the marks are read: who derives something sets the mark, then reads the bytes.
  full_fence();
  const u64 end = pa.value + size;
  for (u64 at = pa.value; at < end;) {
    const u64 next = std::min(end, align_down(at, u64{k_page_size}) + k_page_size);
    const u8 now = marks(GuestPa(at)).load(std::memory_order_relaxed);
    if ((now & (k_frame_code | k_frame_table)) && watch_)
      watch_->watched_written(GuestPa(at), static_cast<u32>(next - at));
    at = next;
  }
}

}  // namespace armvisor
