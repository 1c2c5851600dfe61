// armvisor completion: what bash, zsh and fish read. Each asks the program for candidates ("completion words"), which
// prints what may be completed by paths (none, files or folders) and, behind a tabulator, the prefix of the path; then
// a line for each candidate, with a tabulator before its help.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "cli/command_tables.h"
#include "cli/completion.h"
#include "cli/option_parser.h"

namespace armvisor::cli {
namespace {

struct Script {
  std::string_view shell, text;
};
constexpr Script k_scripts[] = {
    {"bash", R"sh(# bash completion for armvisor
_armvisor() {
  # Words as the shell has them, though it breaks them at '=' and ':'.
  local words=() piece line="${COMP_LINE:0:COMP_POINT}" rest
  for piece in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    rest="${line#"${line%%[![:blank:]]*}"}"
    piece="${piece:0:${#rest}}"
    if [[ ${#words[@]} -gt 0 && "$rest" == "$line" ]]; then
      words[${#words[@]}-1]+="$piece"
    else
      words+=("$piece")
    fi
    line="${rest#"$piece"}"
  done
  local current="${words[${#words[@]}-1]}" head=
  [[ "$current" == *[=:]* ]] && head="${current%"${current##*[=:]}"}"
  local paths= word help
  COMPREPLY=()
  while IFS=$'\t' read -r word help; do
    if [[ -z "$paths" ]]; then
      paths="$word"
    else
      COMPREPLY+=("${word#"$head"}")
      [[ "$word" == *[=:] ]] && compopt -o nospace 2>/dev/null
    fi
  done < <("${words[0]}" completion words "${words[@]:1}" 2>/dev/null)
  case "$paths" in
    files)
      if ((${#COMPREPLY[@]})); then  # otherwise the shell's own completion of paths does it
        compopt -o nospace 2>/dev/null
        while IFS= read -r word; do
          [[ -d "$word" ]] && help=/ || help=' '
          COMPREPLY+=("$(printf %q "$word")$help")
        done < <(compgen -f -- "${current#"$head"}")
      fi ;;
    folders) compopt +o default +o bashdefault -o dirnames 2>/dev/null ;;
    none) compopt +o default +o bashdefault 2>/dev/null ;;
  esac
}
complete -o bashdefault -o default -F _armvisor armvisor
)sh"},
    {"zsh", R"sh(#compdef armvisor
_armvisor() {
  local -a lines kept open
  local line word
  lines=("${(@f)$(${~words[1]} completion words "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
  local paths="${lines[1]%%$'\t'*}" prefix="${lines[1]#*$'\t'}"
  local -a kept_help open_help
  for line in "${(@)lines[2,-1]}"; do
    word="${line%%$'\t'*}"
    if [[ "$word" == *[=:] ]]; then
      open+=("$word") open_help+=("$word  -- ${line#*$'\t'}")
    elif [[ -n "$word" ]]; then
      kept+=("$word") kept_help+=("$word  -- ${line#*$'\t'}")
    fi
  done
  (($#kept)) && compadd -l -d kept_help -a kept
  (($#open)) && compadd -l -S '' -d open_help -a open
  if [[ "$paths" == files || "$paths" == folders ]]; then
    compset -P "${(b)prefix}"
    if [[ "$paths" == files ]]; then _files; else _files -/; fi
  fi
}
if [[ "${funcstack[1]}" == _armvisor ]]; then _armvisor "$@"; else compdef _armvisor armvisor; fi
)sh"},
    {"fish", R"sh(# fish completion for armvisor
function __armvisor_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] completion words $words[2..-1] 2>/dev/null)
  test (count $lines) -gt 0; or return
  set -l head (string split \t -- $lines[1])
  string join \n -- $lines[2..-1]
  set -l path (string sub -s (math (string length -- "$head[2]") + 1) -- "$words[-1]")
  switch $head[1]
    case files
      __fish_complete_path "$path" | string replace -r "^" -- "$head[2]"
    case folders
      __fish_complete_directories "$path" "" | string replace -r "^" -- "$head[2]"
  end
end
complete -c armvisor -f -a '(__armvisor_complete)'
)sh"},
};

constexpr std::string_view name_of(Completion::Paths paths) {
  switch (paths) {
    case Completion::Paths::Files: return "files";
    case Completion::Paths::Folders: return "folders";
    case Completion::Paths::None: break;
  }
  return "none";
}

/// Up to the first end of a sentence: shells show a line.
std::string_view short_help(std::string_view help) {
  return help.substr(0, std::min(help.find_first_of(";:("), help.size()));
}

ExitStatus print_candidates(const Arguments& words) {
  const Completion completion = complete(words);
  std::string text = fmt::format("{}\t{}\n", name_of(completion.paths), completion.prefix);
  for (const Candidate& c : completion.candidates) text += fmt::format("{}\t{}\n", c.word, short_help(c.help));
  std::fputs(text.c_str(), stdout);
  return ExitStatus::PoweredOff;
}

}  // namespace

ExitStatus completion(const Arguments& arguments) {
  if (!arguments.empty() && arguments.front() == "words")
    return print_candidates(Arguments(arguments.begin() + 1, arguments.end()));
  if (std::ranges::find(arguments, "--help") != arguments.end()) return help({"completion"});
  const auto script =
      arguments.size() == 1 ? std::ranges::find(k_scripts, arguments.front(), &Script::shell) : std::end(k_scripts);
  if (script == std::end(k_scripts))
    return report({ErrorKind::BadArguments, "completion: expected one of bash, zsh and fish, found " +
                                                (arguments.empty() ? "nothing" : "'" + arguments.front() + "'") +
                                                "; name one"});
  std::fputs(std::string(script->text).c_str(), stdout);
  return ExitStatus::PoweredOff;
}

}  // namespace armvisor::cli
