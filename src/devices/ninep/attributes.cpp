#include "devices/ninep/attributes.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/xattr.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <type_traits>

#include "devices/ninep/node_tree.h"

namespace armvisor::devices::ninep {
namespace {

static_assert(std::endian::native == std::endian::little, "attributes are little-endian and read in place");

constexpr const char *k_uid = "user.virtfs.uid", *k_gid = "user.virtfs.gid", *k_mode = "user.virtfs.mode",
                     *k_rdev = "user.virtfs.rdev";
constexpr std::size_t k_longest_record = 512;

template <class T>
void read_one(const std::string& path, const char* name, std::optional<T>& value) {
  T bytes{};
  if (getxattr(path.c_str(), name, &bytes, sizeof bytes) == sizeof bytes) value = bytes;
}

template <class T>
int write_one(const std::string& path, const char* name, const std::optional<T>& value) {
  if (!value) return 0;
  return setxattr(path.c_str(), name, &*value, sizeof *value, 0) == 0 ? 0 : errno;
}

/// QEMU writes numbers as signed ones: what is 0xfffffffe here is -2 there.
template <class T>
void parse_one(std::string_view line, std::string_view key, std::optional<T>& value) {
  if (!line.starts_with(key)) return;
  line.remove_prefix(key.size());
  T number{};
  std::make_signed_t<T> negative{};
  const char* const end = line.data() + line.size();
  if (std::from_chars(line.data(), end, number).ec == std::errc())
    value = number;
  else if (std::from_chars(line.data(), end, negative).ec == std::errc())
    value = static_cast<T>(negative);
}

Attributes parse_record(std::string_view text) {
  Attributes a;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    parse_one(line, "virtfs.uid=", a.uid);
    parse_one(line, "virtfs.gid=", a.gid);
    parse_one(line, "virtfs.mode=", a.mode);
    parse_one(line, "virtfs.rdev=", a.rdev);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return a;
}

std::string record_text(const Attributes& a) {
  std::string text;
  if (a.uid) text += fmt::format("virtfs.uid={}\n", *a.uid);
  if (a.gid) text += fmt::format("virtfs.gid={}\n", *a.gid);
  if (a.mode) text += fmt::format("virtfs.mode={}\n", *a.mode);
  if (a.rdev) text += fmt::format("virtfs.rdev={}\n", *a.rdev);
  return text;
}

Attributes read_record(const Fd& file) {
  char text[k_longest_record];
  const ssize_t bytes = file ? ::read(file.get(), text, sizeof text) : 0;
  return parse_record({text, static_cast<std::size_t>(std::max<ssize_t>(bytes, 0))});
}

}  // namespace

void Attributes::apply_to(struct stat& s) const {
  if (uid) s.st_uid = *uid;
  if (gid) s.st_gid = *gid;
  if (mode) s.st_mode = *mode;
  if (rdev) s.st_rdev = *rdev;
}

void Attributes::merge(const Attributes& newer) {
  if (newer.uid) uid = newer.uid;
  if (newer.gid) gid = newer.gid;
  if (newer.mode) mode = newer.mode;
  if (newer.rdev) rdev = newer.rdev;
}

Attributes read_attribute_xattrs(const std::string& path) {
  Attributes a;
  read_one(path, k_uid, a.uid);
  read_one(path, k_gid, a.gid);
  read_one(path, k_mode, a.mode);
  read_one(path, k_rdev, a.rdev);
  return a;
}

int write_attribute_xattrs(const std::string& path, const Attributes& a) {
  int error = write_one(path, k_uid, a.uid);
  if (!error) error = write_one(path, k_gid, a.gid);
  if (!error) error = write_one(path, k_mode, a.mode);
  if (!error) error = write_one(path, k_rdev, a.rdev);
  return error;
}

// --- records

/// The folder of records: the files' own for the shared folder itself, whose record is beside the others'.
int AttributeRecords::open_folder(int folder, bool make, Fd& found) {
  const std::string name(k_metadata_folder);
  int error = tree_.open_in(folder, name.c_str(), O_RDONLY | O_DIRECTORY, found);
  if (error != ENOENT || !make) return error;
  if (mkdirat(folder, name.c_str(), 0700) != 0 && errno != EEXIST) return errno;
  return tree_.open_in(folder, name.c_str(), O_RDONLY | O_DIRECTORY, found);
}

Attributes AttributeRecords::read(int folder, const std::string& name) {
  Fd records, file;
  if (name.empty()) {
    (void)tree_.open_in(folder, std::string(k_metadata_of_root).c_str(), O_RDONLY, file);
  } else if (open_folder(folder, false, records) == 0) {
    (void)tree_.open_in(records.get(), name.c_str(), O_RDONLY, file);
  }
  return read_record(file);
}

int AttributeRecords::write(int folder, const std::string& name, const Attributes& attributes) {
  Fd records, file;
  if (!name.empty())
    if (const int error = open_folder(folder, true, records)) return error;
  const int where = name.empty() ? folder : records.get();
  const std::string file_name = name.empty() ? std::string(k_metadata_of_root) : name;
  int error = tree_.open_in(where, file_name.c_str(), O_RDWR, file);
  if (error == ENOENT) {
    file = Fd(openat(where, file_name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    error = file ? 0 : errno;
  }
  if (error) return error;
  Attributes all = read_record(file);
  all.merge(attributes);
  const std::string text = record_text(all);
  if (pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return errno ? errno : EIO;
  return ftruncate(file.get(), static_cast<off_t>(text.size())) == 0 ? 0 : errno;
}

void AttributeRecords::remove(int folder, const std::string& name) {
  Fd records;
  if (open_folder(folder, false, records) == 0) unlinkat(records.get(), name.c_str(), 0);
}

int AttributeRecords::rename(int folder, const std::string& name, int new_folder, const std::string& new_name) {
  Fd from, to;
  int error = open_folder(folder, false, from);
  if (!error) error = open_folder(new_folder, true, to);
  if (!error && renameat(from.get(), name.c_str(), to.get(), new_name.c_str()) != 0) error = errno;
  if (error != ENOENT) return error;
  remove(new_folder, new_name);  // what is said of the file that had the name
  return 0;
}

int AttributeRecords::link(int folder, const std::string& name, int new_folder, const std::string& new_name) {
  Fd from, to;
  if (const int error = open_folder(folder, false, from)) return error == ENOENT ? 0 : error;
  if (const int error = open_folder(new_folder, true, to)) return error;
  return linkat(from.get(), name.c_str(), to.get(), new_name.c_str(), 0) == 0 || errno == ENOENT ? 0 : errno;
}

void AttributeRecords::remove_folder(int folder) {
  unlinkat(folder, std::string(k_metadata_folder).c_str(), AT_REMOVEDIR);
}

}  // namespace armvisor::devices::ninep
