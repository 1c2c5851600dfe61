#pragma once
// Which of a kernel's modules are to be loaded, and in which order: what modprobe knows of modules.dep and
// modules.builtin (kmod), worked out on the host so that the guest only loads files.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exec/folder.h"

namespace armvisor::exec {

/// "kernel/fs/9p/9p.ko.xz" as "9p"; '-' in a name is '_'.
std::string module_name(std::string_view path);

class ModuleList {
 public:
  /// Texts of modules.dep and modules.builtin.
  ModuleList(std::string_view dep, std::string_view builtin);

  /// Modules in an order; one more says that there would be more.
  static constexpr std::size_t k_most = 256;

  /// Adds to `order` the files of what `name` needs and is, those that are needed first, without what is in it already.
  /// Nothing for what is built in. False: the kernel has no such module.
  bool add(std::string_view name, std::vector<std::string>& order) const;
  bool has(std::string_view name) const { return modules_.contains(name) || builtin_.contains(name); }

 private:
  struct Module {
    std::string path;
    std::vector<std::string> needs;  ///< names
  };
  std::map<std::string, Module, std::less<>> modules_;
  std::set<std::string, std::less<>> builtin_;
};

/// The modules of one kernel: a folder as /lib/modules/VERSION is.
class ModuleFolder {
 public:
  static Result<ModuleFolder> open(Folder folder);
  const ModuleList& list() const { return list_; }
  /// A module as the kernel takes it, unpacked.
  Result<std::vector<u8>> read(const std::string& path) const;
  const std::string& path() const { return folder_.path(); }

 private:
  ModuleFolder(Folder folder, ModuleList list) : folder_(std::move(folder)), list_(std::move(list)) {}
  Folder folder_;
  ModuleList list_;
};

}  // namespace armvisor::exec
