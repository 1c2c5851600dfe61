#pragma once
// The files of a system as its archives name them, one layer above the other, while they go into a file system: names
// are kept here, contents and owners are in the image at once.
//
// A name is looked up inside the tree alone: a link in the way leads to where it leads there, and ".." is refused.
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exec/ext_image.h"

namespace armvisor::exec {

class SystemTree {
 public:
  static constexpr std::size_t k_longest_path = 4096, k_longest_name = 255;
  static constexpr u32 k_most_depth = 2048;  ///< folders in one another, so that going through them has an end

  /// `what` is for messages: the system's path.
  SystemTree(ExtImage& image, std::string what);
  ~SystemTree();

  /// What is added from now on lies above what was.
  void begin_layer() { ++layer_; }

  /// Something new at a path, with the number of its inode. It takes the place of what is there, but a folder that is
  /// there keeps what it holds. Folders on the way are made.
  Result<u32> add(std::string_view path, const Attributes& attributes, std::string_view link = {});
  /// A second name for what is at `target`, which is no folder.
  Status add_hard_link(std::string_view path, std::string_view target);
  /// What lower layers have at `path` is not there any more: of a folder that this layer adds to, what they put there.
  Status hide(std::string_view path);
  /// Likewise, all that lower layers have in a folder.
  Status hide_contents(std::string_view folder);
  /// A folder, with those on the way, unless there is something.
  Status add_folder(std::string_view path);
  bool has(std::string_view path);
  /// Whether it is a regular file with nothing in it, or not there; in a folder that is.
  bool is_missing_or_empty(std::string_view path);

  /// Writes the names into the image.
  Status finish();

 private:
  struct Folder;
  struct Item {
    u32 inode = 0, mode = 0;
    u32 layer = 0;
    std::unique_ptr<Folder> folder{};  ///< of a folder
    std::string link{};                ///< of a symbolic link
  };
  struct Folder {
    u32 inode = 0, depth = 0;
    Folder* above = nullptr;
    std::map<std::string, Item, std::less<>> items{};
  };
  struct Place {
    Folder* folder = nullptr;
    std::string name;  ///< empty: the root
  };
  Result<Place> place(std::string_view path, bool make);
  Result<Folder*> enter(Folder* folder, std::string_view name, bool make, int& links);
  Result<Folder*> follow(Folder* folder, std::string_view link, bool make, int& links);
  Result<Folder*> step(Folder* folder, std::string_view name, bool make, int& links);
  Result<std::unique_ptr<Folder>> folder_in(Folder& above, u32 inode) const;
  Result<Folder*> new_folder(Folder* folder, std::string_view name);
  Status put(const Place& place, Item item);
  Status remove(Item& item);
  Status remove_lower(Folder& folder);
  Status write(Folder& folder, Folder& above);
  Error bad(std::string message) const;
  Status check_count();

  ExtImage& image_;
  const std::string what_;
  Folder root_;
  u32 layer_ = 0;
  u32 names_ = 0;           ///< that there are
  std::vector<u32> links_;  ///< names of each inode that is no folder
};

}  // namespace armvisor::exec
