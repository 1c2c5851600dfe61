#pragma once
// What a disk is made of, as options say, and the backend that comes of it.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/stop_event.h"
#include "devices/backends/disk.h"

namespace armvisor::devices {

/// Names and meaning are QEMU's.
enum class DiskCache : u8 {
  Writeback,     ///< what is written is on stable storage after the guest's next flush
  None,          ///< the same, past the host's cache where a server is asked to (O_DIRECT)
  Writethrough,  ///< each write is flushed
  Directsync,    ///< both
  Unsafe,        ///< flushes are not done
};
/// As in cache=NAME.
std::string_view name(DiskCache cache);
std::optional<DiskCache> find_cache(std::string_view name);

struct DiskSource {
  std::string path;  ///< a file, a block device, or an address of an NBD server (nbd_disk.h)
  bool read_only = false;
  /// "raw", or what a server of ours opens (image_format.h). Empty: as the file's name says. "auto": as its content
  /// says; one that is found raw is kept raw.
  std::string format{};
  bool snapshot = false;  ///< what is written is not kept
  DiskCache cache = DiskCache::Writeback;
  bool unmap = true;            ///< what the guest discards takes no space any more
  std::string detect_zeroes{};  ///< on, off or unmap, for servers; empty: off
};

/// Whether each write must be flushed.
inline bool writes_through(DiskCache cache) {
  return cache == DiskCache::Writethrough || cache == DiskCache::Directsync;
}

/// FILE[,ro][,snapshot][,format=FORMAT][,cache=MODE][,discard=unmap|ignore], as --disk has it. Words at the end that
/// are no options belong to the name. Errors do not name the option.
Result<DiskSource> parse_disk_option(std::string_view text);

/// `stop`, if any, ends the wait for a server, with an error. The thread that calls must outlive the disk
/// (base/child_process.h).
Result<std::unique_ptr<DiskBackend>> open_disk(const DiskSource& source, const StopEvent* stop);

}  // namespace armvisor::devices
