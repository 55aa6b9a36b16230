// More people and more workspaces: what a person adds to try the app with them.

import { addPerson, addWorkspace, Refused } from "./api.js";
import { openItems } from "./menu.js";
import { speakAs } from "./places.js";
import { here, world } from "./state.js";

const ROLES = [
  ["member", "Member of this workspace"],
  ["admin", "Admin of this workspace"],
  ["guest", "Guest"],
  ["external", "Person of another workspace"],
];
const REASONS = {
  invalid_name: "Choose another name: for people small letters, digits, dots and hyphens.",
  name_taken: "There is a person with this name.",
  too_many_workspaces: "There are enough workspaces.",
};

async function attempt(work) {
  try {
    await work();
    return "";
  } catch (error) {
    return error instanceof Refused ? (REASONS[error.message] ?? error.message) : "The local Slack does not answer.";
  }
}

export const askForPerson = (ask) =>
  ask.open({
    title: "Add a person",
    submit: "Add",
    fields: [
      { name: "name", label: "Name", hint: "Joins all public channels. You speak as this person next." },
      { name: "role", label: "Role", options: ROLES },
    ],
    run: ({ name, role }) =>
      attempt(async () => {
        const id = await addPerson(name.trim().toLowerCase(), role);
        speakAsOnceKnown(id);
      }),
  });

// The person is in the state only after the feed has delivered the change.
function speakAsOnceKnown(id, from = here.speaker) {
  if (here.speaker !== from) return;
  if (world.users.has(id)) speakAs(id);
  else setTimeout(() => speakAsOnceKnown(id, from), 50);
}

const askForWorkspace = (ask) =>
  ask.open({
    title: "Add a workspace",
    submit: "Add",
    fields: [{ name: "name", label: "Name", hint: "It gets a page of its own, on which you add the app to it." }],
    run: ({ name }) => attempt(() => addWorkspace(name)),
  });

export function openWorkspaces(button, ask) {
  const others = world.workspaces.filter((one) => one.id !== world.team.id);
  openItems(button, "Workspaces", [
    ...others.map((one) => [`Open ${one.name}`, () => window.open(one.page, "_blank", "noopener")]),
    ["Add a workspace…", () => askForWorkspace(ask)],
  ]);
}

// The page on which the app is added to this workspace, if it is not there yet.
export function installPage() {
  const own = world.workspaces.find((one) => one.id === world.team.id);
  return own && !own.installed ? own.install : "";
}
