#include "base/sandbox/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

#include "base/host_error.h"

namespace armvisor {
namespace {

// linux/landlock.h of Debian 12 ends with version 2, so what is asked of the kernel stands here.
constexpr long k_create_ruleset = 444, k_add_rule = 445, k_restrict_self = 446;
struct RulesetAttributes {
  u64 files, network, scopes;
};
struct [[gnu::packed]] PathBeneath {
  u64 access;
  s32 parent;
};
constexpr u32 k_ask_version = 1;
constexpr int k_path_beneath = 1;

enum Access : u64 {
  k_execute = 1 << 0,
  k_write_file = 1 << 1,
  k_read_file = 1 << 2,
  k_read_folder = 1 << 3,
  k_remove_folder = 1 << 4,
  k_remove_file = 1 << 5,
  k_make_char = 1 << 6,
  k_make_folder = 1 << 7,
  k_make_file = 1 << 8,
  k_make_socket = 1 << 9,
  k_make_fifo = 1 << 10,
  k_make_block = 1 << 11,
  k_make_link = 1 << 12,
  k_refer = 1 << 13,         ///< from version 2
  k_truncate = 1 << 14,      ///< 3
  k_device_ioctl = 1 << 15,  ///< 5
};
constexpr u64 k_both_of_tcp = 3;       // 4
constexpr u64 k_abstract_sockets = 1;  // 6
constexpr u64 k_of_files = k_execute | k_write_file | k_read_file | k_truncate | k_device_ioctl;

/// What a version has of rights on files.
u64 known_to(int version) {
  u64 all = (k_make_link << 1) - 1;
  if (version >= 2) all |= k_refer;
  if (version >= 3) all |= k_truncate;
  if (version >= 5) all |= k_device_ioctl;
  return all;
}

u64 access_of(FileRights rights) {
  constexpr u64 k_read = k_read_file | k_read_folder, k_write = k_write_file | k_truncate;
  constexpr u64 k_make = k_make_folder | k_make_file | k_make_socket | k_make_fifo | k_make_link;
  switch (rights) {
    case FileRights::Read: return k_read;
    case FileRights::Write: return k_write;
    case FileRights::ReadAndWrite: return k_read | k_write;
    case FileRights::Change: return k_read | k_write | k_make | k_remove_file | k_remove_folder | k_refer;
    case FileRights::ChangeDevices: return access_of(FileRights::Change) | k_make_char | k_make_block;
    case FileRights::Remove: return k_remove_file;
    case FileRights::Pass: return k_make_folder | k_make_socket | k_remove_file | k_remove_folder | k_read_folder;
    case FileRights::Execute: return k_execute | k_read_file;
  }
  return 0;
}

Error failed(int error) {
  return host_error("sandbox: expected rules for files (Landlock)", error, "say --sandbox off");
}

Status add_rule(int rules, const FileRule& rule, u64 handled) {
  const Fd at(::open(rule.path.c_str(), O_PATH | O_CLOEXEC));
  struct stat st {};
  if (!at || ::fstat(at.get(), &st) != 0) return {};
  u64 access = access_of(rule.rights) & handled;
  if (!S_ISDIR(st.st_mode)) access &= k_of_files;
  if (access == 0) return {};
  const PathBeneath beneath = {access, at.get()};
  if (::syscall(k_add_rule, rules, k_path_beneath, &beneath, 0) != 0) return failed(errno);
  return {};
}

}  // namespace

int Landlock::version() {
  const long version = ::syscall(k_create_ruleset, nullptr, 0, k_ask_version);
  return version > 0 ? static_cast<int>(version) : 0;
}

Result<Landlock> Landlock::create(const Options& options) {
  const int version = Landlock::version();
  // Version 1 has no files moved from folder to folder, which a guest's programs count on.
  const bool changes = std::ranges::any_of(options.rules, [](const FileRule& rule) {
    return rule.rights == FileRights::Change || rule.rights == FileRights::ChangeDevices;
  });
  if (version == 0 || (version == 1 && changes)) return Landlock(Fd());
  RulesetAttributes all = {known_to(version), 0, 0};
  if (options.reads_anything) all.files &= ~u64{k_read_file | k_read_folder | k_device_ioctl};
  if (options.executes) all.files &= ~u64{k_execute};
  if (version >= 4 && !options.connects) all.network = k_both_of_tcp;
  if (version >= 6) all.scopes = k_abstract_sockets;
  const std::size_t size = version >= 6 ? sizeof all : version >= 4 ? 2 * sizeof(u64) : sizeof(u64);
  Fd rules(static_cast<int>(::syscall(k_create_ruleset, &all, size, 0)));
  if (!rules) return failed(errno);
  for (const FileRule& rule : options.rules) AV_TRY(add_rule(rules.get(), rule, all.files));
  return Landlock(std::move(rules));
}

int Landlock::put_on() const {
  if (!rules_) return 0;
  return ::syscall(k_restrict_self, rules_.get(), 0) == 0 ? 0 : errno;
}

}  // namespace armvisor
