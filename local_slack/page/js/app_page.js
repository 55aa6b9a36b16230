// A page of the app, in the theme of the workspace's page.

import { applyTheme } from "./theme.js";

applyTheme();
