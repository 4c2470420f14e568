"""Shell scripts that ask relay for completions, and the form in which each shell is answered.

The scripts send the command line up to the cursor. relay splits it itself: bash also splits words at ':' and '=', and
none of the shells gives a word without its quotes. An answer is one line for its kind, then one line for each value.
"""

from __future__ import annotations

import os
from typing import ClassVar, NamedTuple

from click.shell_completion import CompletionItem, ShellComplete

_BASH = """\
%(complete_func)s() {
    local program=${1/#~\\//$HOME/} response
    local -a lines
    type -P -- "$program" > /dev/null || program=%(prog_name)s  # an alias was typed
    response=$(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" %(complete_var)s=bash_complete \\
        command "$program" 2> /dev/null < /dev/null)
    mapfile -t lines <<< "$response"
    COMPREPLY=()
    case ${lines[0]} in
        plain) COMPREPLY=("${lines[@]:1}") ;;
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
    esac
}

complete -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local program=${${(Q)words[1]}/#\\~\\//$HOME/}
    local -a response
    (( $+commands[$program] )) || [[ $program == */* ]] || program=%(prog_name)s
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    response=("${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT-1]} $QIPREFIX$IPREFIX$PREFIX" \\
        %(complete_var)s=zsh_complete command "$program" 2> /dev/null < /dev/null)}")
    case $response[1] in
        (plain) shift response; _describe %(prog_name)s response ;;
        (dir) _files -/ ;;
        (file) _files ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l program (commandline -po)[1]
    string match -q '*/*' -- $program; or set program %(prog_name)s
    set program (string replace -r '^~/' "$HOME/" -- $program)
    set -l line (string join ' ' -- (commandline -cp))
    set -l response (env COMP_LINE="$line" %(complete_var)s=fish_complete $program 2> /dev/null < /dev/null)
    set -l token (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $token)
    set -l path (string replace -r -- '^--[^=]*=' '' $token)
    switch "$response[1]"
        case plain
            string join \\n -- $response[2..-1]
        case dir
            string replace -r '^' -- "$option" (__fish_complete_directories "$path")
        case file
            string replace -r '^' -- "$option" (__fish_complete_path "$path")
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""

_ESCAPED = {
    "": frozenset(" !\"#$&'()*;<>?[\\]`{|}~"),
    '"': frozenset('"$\\`'),
}
"""Characters that bash needs a backslash before, outside of quotes and within double quotes."""


class Word(NamedTuple):
    """The word at the cursor: as typed, its value without quotes, and the quote that is still open or ''."""

    typed: str
    value: str
    quote: str


def split_line(line: str) -> tuple[list[str], Word]:
    """Split a command line that ends at the cursor into the values of its whole words and the word at the cursor."""
    words: list[str] = []
    begin, value, quote, position = 0, "", "", 0
    while position < len(line):
        character = line[position]
        position += 1
        if character == quote:
            quote = ""
        elif quote == "'":
            value += character
        elif character == "\\":
            escaped = line[position : position + 1]
            value += escaped if not quote or escaped in _ESCAPED['"'] else character + escaped
            position += 1
        elif quote:
            value += character
        elif character in "'\"":
            quote = character
        elif character.isspace():
            if position - 1 > begin:
                words.append(value)
            begin, value = position, ""
        else:
            value += character
    return words, Word(line[begin:], value, quote)


class _Shell(ShellComplete):
    """Base of the three shells: reads the line, answers with a kind and values."""

    word = Word("", "", "")

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words between the program and the word at the cursor, and that word."""
        words, self.word = split_line(os.environ["COMP_LINE"])
        return words[1:], self.word.value

    def complete(self) -> str:
        """Return the answer: 'dir' or 'file' where the shell completes a path by itself, else 'plain' and values."""
        items = self.get_completions(*self.get_completion_args())
        if items and items[0].type != "plain":
            return items[0].type
        return "\n".join(["plain", *filter(None, map(self.format_completion, items))]) if items else ""

    @property
    def option(self) -> str:
        """The beginning '--name=' of the word at the cursor if it has one, else ''. Candidates come without it."""
        name, equals, _ = self.word.value.partition("=")
        return f"{name}=" if equals and name.startswith("-") else ""


class Bash(_Shell):
    """Completion in bash, which replaces a word from its last ':' or '=' on and does not quote what it inserts."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH

    def format_completion(self, item: CompletionItem) -> str:
        """Return the text that replaces $2, quoted in the way the word was begun; '' if it cannot be."""
        replaced = os.environ.get("COMP_WORD", "")
        kept = self.word.typed[: -len(replaced) or None] if self.word.typed.endswith(replaced) else ""
        _, (_, before, _) = split_line(kept)
        return _quoted(f"{self.option}{item.value}".removeprefix(before), self.word.quote)


class Zsh(_Shell):
    """Completion in zsh, which quotes what it inserts. Its _describe takes 'value:description'."""

    name: ClassVar[str] = "zsh"
    source_template: ClassVar[str] = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        """Return the value with its colons escaped, and the first line of its description."""
        value = item.value.replace("\\", "\\\\").replace(":", "\\:")
        return f"{value}:{_line(item.help)}" if item.help else value


class Fish(_Shell):
    """Completion in fish, which quotes what it inserts and replaces the whole word."""

    name: ClassVar[str] = "fish"
    source_template: ClassVar[str] = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        """Return the whole word and, behind a tab, the description."""
        word = f"{self.option}{item.value}"
        return f"{word}\t{_line(item.help)}" if item.help else word


SHELLS: dict[str, type[ShellComplete]] = {shell.name: shell for shell in (Bash, Zsh, Fish)}


def _line(words: str) -> str:
    """Return a help text on one line."""
    return " ".join(words.split())


def _quoted(value: str, quote: str) -> str:
    """Return `value` as bash must read it behind an open quote or none; '' where it would read it otherwise."""
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote and "!" in value:  # within double quotes the history is expanded, and a backslash would stay
        return ""
    if _ESCAPED[quote].isdisjoint(value):
        return value
    return "".join(f"\\{character}" if character in _ESCAPED[quote] else character for character in value)
