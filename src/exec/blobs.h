#pragma once
// The files of an image of containers by name: in a folder, or in an archive of it, whose files are put into a
// temporary one. Nothing is looked up outside the folder.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exec/folder.h"
#include "exec/tar_reader.h"

namespace armvisor::exec {

class Blobs {
 public:
  static constexpr u64 k_longest_text = u64{4} << 20;  ///< bytes of a manifest or a configuration

  static Blobs in_folder(Folder folder, Patience& patience);
  /// The rest of an archive; `most`: bytes of its files.
  static Result<Blobs> in_archive(TarReader& archive, std::string path, u64 most, Patience& patience);

  bool has(const std::string& name) const;
  /// The whole of a small one.
  Result<std::vector<u8>> read(const std::string& name) const;
  /// To read one from its beginning; the blobs outlive it.
  Result<std::unique_ptr<ByteSource>> open(const std::string& name);
  const std::string& path() const { return path_; }

 private:
  struct Part {
    u64 offset = 0, size = 0;
    std::string link{};  ///< of a symbolic one
  };
  Blobs(std::string path, Patience& patience) : path_(std::move(path)), patience_(&patience) {}
  const Part* find(const std::string& name) const;
  Error missing(const std::string& name) const;

  std::string path_;
  Patience* patience_;
  std::optional<Folder> folder_;
  Fd file_;  ///< of an archive's; and of the one that is open
  std::map<std::string, Part> parts_;
};

}  // namespace armvisor::exec
