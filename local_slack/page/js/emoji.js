// The names of common emoji; any other name is shown as text.

export const EMOJI = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", heart: "❤️", tada: "🎉", eyes: "👀",
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", fire: "🔥", rocket: "🚀",
  pray: "🙏", clap: "👏", wave: "👋", joy: "😂", smile: "😄", slightly_smiling_face: "🙂",
  thinking_face: "🤔", raised_hands: "🙌", bulb: "💡", memo: "📝", question: "❓",
  exclamation: "❗", hourglass: "⌛", hourglass_flowing_sand: "⏳", robot_face: "🤖", sparkles: "✨",
  star: "⭐", bug: "🐛", wrench: "🔧", lock: "🔒", link: "🔗", mag: "🔍", point_right: "👉",
  arrows_counterclockwise: "🔄", repeat: "🔁", octagonal_sign: "🛑", no_entry: "⛔", ok_hand: "👌",
  hammer_and_wrench: "🛠️", gear: "⚙️", speech_balloon: "💬", page_facing_up: "📄", cry: "😢",
  information_source: "ℹ️", broom: "🧹", zap: "⚡", 100: "💯", stopwatch: "⏱️", paperclip: "📎",
};

export const OFFERED = [
  "+1", "-1", "heart", "tada", "eyes", "white_check_mark", "joy", "thinking_face", "pray", "rocket",
  "fire", "wave",
];

export const showEmoji = (name) => EMOJI[name.split("::")[0]] ?? `:${name}:`;

export const withEmoji = (text) =>
  text.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);
